"""The loaders of all formats, by suffix. A loader makes a Document from the bytes of a file.

A loader keeps the text of text formats as it stands, with its markup, because answers quote it word for word; from other
formats it extracts the text. It never opens another file, runs code or fetches anything. It raises DocumentError, which says
what to do, for content that it can't read. A format's libraries are imported with the first file of that format.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.core.markup import Markup

Loader = Callable[[str, bytes, str], Document]
"""(path relative to the folder, content, address) -> Document. Raises DocumentError."""

LARGEST_TEXT = 10_000_000
"""The most characters in one document: about five thousand pages, whose vectors take a quarter of an hour."""


def load(path: str, content: bytes, url: str = "") -> Document:
    """Read a file with the loader for its suffix. `url` is where it was published, if that is known. Raises DocumentError."""
    suffix = PurePosixPath(path).suffix.lower()
    loader = LOADERS.get(suffix)
    if loader is None:
        raise DocumentError(
            OTHER_FORMATS.get(suffix) or f"this format isn't read; these are: {', '.join(sorted(LOADERS))}"
        )
    try:
        document = loader(path, content, url)
    except RecursionError as error:
        raise DocumentError("its parts are nested too deeply to be read; make its structure simpler") from error
    if (size := sum(len(block.text) for block in document.blocks)) > LARGEST_TEXT:
        raise DocumentError(
            f"it holds {size:,} characters of text, and {LARGEST_TEXT:,} are read at most; divide it into several files"
        )
    return document


def _reader(module: str, function: str = "load", markup: Markup = Markup.PLAIN, *, by_url: bool = False) -> Loader:
    """Return the loader of a format. `markup` is that of its blocks. `by_url`: it resolves links by the address."""

    def read(path: str, content: bytes, url: str) -> Document:
        loader: Callable[..., Document] = getattr(importlib.import_module(f"bot.knowledge.formats.{module}"), function)
        document = loader(path, content, url) if by_url else loader(path, content)
        return replace(document, blocks=tuple(replace(block, markup=markup) for block in document.blocks))

    return read


LOADERS: Mapping[str, Loader] = {
    ".md": _reader("markup.markdown", markup=Markup.MARKDOWN),
    ".markdown": _reader("markup.markdown", markup=Markup.MARKDOWN),
    ".mdx": _reader("markup.markdown", markup=Markup.MARKDOWN),
    ".txt": _reader("text"),
    ".text": _reader("text"),
    ".html": _reader("html.loader", markup=Markup.LITERALS, by_url=True),
    ".htm": _reader("html.loader", markup=Markup.LITERALS, by_url=True),
    ".xhtml": _reader("html.loader", markup=Markup.LITERALS, by_url=True),
    ".rst": _reader("markup.restructured", markup=Markup.LITERALS),
    ".pdf": _reader("pdf.loader"),
    ".docx": _reader("office.docx"),
    ".docm": _reader("office.docx"),
    ".pptx": _reader("office.pptx"),
    ".xlsx": _reader("office.xlsx"),
    ".xlsm": _reader("office.xlsx"),
    ".xls": _reader("office.xlsx"),
    ".ods": _reader("office.xlsx"),
    ".epub": _reader("epub", markup=Markup.LITERALS),
    ".csv": _reader("delimited"),
    ".tsv": _reader("delimited"),
    ".json": _reader("json_records"),
    ".jsonl": _reader("json_records", "load_lines"),
}

_SAVE_AS = "this format isn't read; save it as {}"
OTHER_FORMATS: Mapping[str, str] = {
    ".doc": _SAVE_AS.format("DOCX"),
    ".rtf": _SAVE_AS.format("DOCX"),
    ".odt": _SAVE_AS.format("DOCX"),
    ".pages": _SAVE_AS.format("DOCX or PDF"),
    ".ppt": _SAVE_AS.format("PPTX"),
    ".odp": _SAVE_AS.format("PPTX"),
    ".key": _SAVE_AS.format("PPTX or PDF"),
    ".numbers": _SAVE_AS.format("XLSX"),
    ".mobi": _SAVE_AS.format("EPUB"),
    ".azw3": _SAVE_AS.format("EPUB"),
    ".tex": _SAVE_AS.format("PDF or Markdown"),
    ".adoc": _SAVE_AS.format("HTML or Markdown"),
    ".org": _SAVE_AS.format("HTML or Markdown"),
}
"""Formats that aren't read but that people expect to be, with advice for each."""
