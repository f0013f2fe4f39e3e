"""Formats that are archives: bombs, entities and files of another kind are refused."""

import io
import zipfile

import pytest

from bot.core.errors import DocumentError
from bot.knowledge.loaders import load
from tests.knowledge.document_writers import (
    Paragraph,
    write_docx,
    write_epub,
    zipped,
)
from tests.knowledge.formats.reading import (
    refusal,
)


@pytest.fixture(scope="module")
def bomb():
    """An archive that unpacks to 500 MiB."""
    return zipped({"word/document.xml": bytes(500 * 2**20)})


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".epub"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(bomb, suffix):
    """Its list of contents names the size."""
    assert "which no document does" in refusal(f"bomb{suffix}", bomb)


def test_entities_are_not_resolved_in_a_docx_or_a_book(tmp_path):
    """Neither the bomb of entities in entities nor one that reads a file."""
    (tmp_path / "secret.txt").write_text("secret words")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    doctype = f'<!DOCTYPE x [<!ENTITY e0 "ha"><!ENTITY s SYSTEM "file://{tmp_path}/secret.txt">{entities}]>'
    for path, name, content in (
        ("a.docx", "word/document.xml", write_docx("T", [Paragraph("Harmless MARK")])),
        ("a.epub", "OEBPS/chapter0.xhtml", write_epub("T", [Paragraph("Harmless MARK")])),
        ("a.epub", "OEBPS/book.opf", write_epub("MARK", [Paragraph("Harmless")])),
    ):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {entry: archive.read(entry) for entry in archive.namelist()}
        xml = files[name].decode().replace("MARK", "&e11;&s;")
        head, _, rest = xml.partition("?>") if xml.startswith("<?xml") else ("", "", xml)
        files[name] = (f"{head}?>{doctype}{rest}" if head else f"{doctype}{xml}").encode()
        try:
            document = load(path, zipped(files))
        except DocumentError:
            continue
        assert "secret words" not in str(document)
        assert len(str(document)) < 5_000


def test_office_files_that_are_protected_say_so():
    """They are another container inside."""
    assert "protected by a password" in refusal("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".epub"])
def test_the_archive_of_another_format_is_refused(suffix):
    """A renamed file is told as what it is."""
    assert "save it again as" in refusal(f"a{suffix}", zipped({"x.txt": "text"}))
