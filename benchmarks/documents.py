"""Whether documents survive in every format, and how long it takes to index a folder of mixed files.

    python benchmarks/documents.py [--files 1000] [--source documents.jsonl] [--formats .pdf,.docx] [--no-index]

The Markdown of the source (JSON lines with "title" and "text"; by default the handbook) is written as files of all formats
in turn by the writers of the tests, and read again. Each block of the Markdown must be there once, its words in order; `form`
is the share of those that are still a list, a table or code. Then the whole folder is indexed, against the time that the
encoder alone takes for the same passages.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "knowledge"))

from document_writers import WRITERS, Bullets, Code, Grid, Heading, Paragraph, Part, parts_of  # noqa: E402

from bot.core.documents import Document, Form  # noqa: E402
from bot.core.settings import LogSettings, Settings  # noqa: E402
from bot.inference.workers import AsyncEncoder, InferenceWorker  # noqa: E402
from bot.knowledge.converter import Converter  # noqa: E402
from bot.knowledge.indexer import Indexer  # noqa: E402
from bot.knowledge.passages import embedded_text, split  # noqa: E402
from bot.observability.logs import configure_logging  # noqa: E402
from bot.runtime.loading import load_models  # noqa: E402
from bot.storage.sqlite.knowledge import SqliteKnowledge  # noqa: E402

FORMS = {Bullets: Form.LIST, Code: Form.CODE, Grid: Form.TABLE, Paragraph: Form.PARAGRAPH}


@dataclass
class Share:
    """What became of the blocks of one format."""

    files: int = 0
    blocks: int = 0
    kept: int = 0
    doubled: int = 0
    formed: int = 0
    headings: int = 0
    headings_kept: int = 0
    milliseconds: float = 0.0
    lost: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--source", type=Path, help="JSON lines with a title and a text each; default: the handbook")
    parser.add_argument("--formats", default=",".join(WRITERS), help="suffixes, with commas between them")
    parser.add_argument("--no-index", action="store_true", help="read only, don't index")
    parser.add_argument("--show-lost", type=int, default=0, help="how many lost blocks to print, a format")
    options = parser.parse_args()
    configure_logging(LogSettings(), quiet=True)
    console = Console()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "knowledge")
        folder.mkdir()
        originals = write_files(folder, sources(options.source), options.formats.split(","), options.files)
        shares = measure(folder, originals)
        console.print(table_of(shares))
        for suffix, share in shares.items():
            for text in share.lost[: options.show_lost]:
                console.print(f"{suffix} lost: {text[:200]!r}", markup=False)
        if not options.no_index:
            console.print(asyncio.run(timed(folder, Path(place, "data"))))


def sources(file: Path | None) -> Iterator[tuple[str, str]]:
    """(title, Markdown) again and again."""
    if file is None:
        documents = [(path.stem, path.read_text()) for path in sorted((ROOT / "knowledge").glob("*.md"))]
    else:
        lines = map(json.loads, file.read_text().splitlines())
        documents = [(document["title"], document["text"]) for document in lines]
    while True:
        yield from documents


def write_files(
    folder: Path, documents: Iterator[tuple[str, str]], formats: Sequence[str], count: int
) -> dict[str, list[Part]]:
    """Write so many files, the formats in turn, no two with the same text, and return the parts of each."""
    originals = {}
    for number in range(count):
        title, markdown = next(documents)
        parts = [*parts_of(markdown), Paragraph(f"This is document number {number} of the folder.")]
        suffix = formats[number % len(formats)]
        name = f"{number:05}{suffix}"
        (folder / name).write_bytes(WRITERS[suffix](title, parts))
        originals[name] = parts
    return originals


def measure(folder: Path, originals: dict[str, list[Part]]) -> dict[str, Share]:
    shares: dict[str, Share] = {}
    with Converter() as converter:
        for name, parts in originals.items():
            content = (folder / name).read_bytes()
            share = shares.setdefault(Path(name).suffix, Share())
            started = time.perf_counter()
            document = converter.read(name, content)
            share.milliseconds += (time.perf_counter() - started) * 1000
            share.files += 1
            if name.endswith(".xlsx"):  # which has no headings: they are cells like any other
                parts = [Paragraph(part.text) if isinstance(part, Heading) else part for part in parts]
            compare(parts, document, share)
    return shares


def compare(parts: Sequence[Part], document: Document, share: Share) -> None:
    """Count the blocks of the original whose words stand in the document as often as in the original."""
    headings = " \n ".join([document.title, *(" ".join(block.heading) for block in document.blocks)])
    headings = squeezed(headings) + squeezed(" ".join(warning for warning in document.warnings))
    everything = squeezed("".join(block.text for block in document.blocks))
    of_form = {form: squeezed("".join(b.text for b in document.blocks if b.form is form)) for form in Form}
    original = squeezed("".join("".join(texts_of(part)) for part in parts if not isinstance(part, Heading)))
    for part in parts:
        texts = [text for text in map(squeezed, texts_of(part)) if text]
        if isinstance(part, Heading):
            share.headings += bool(texts)
            share.headings_kept += all(text in headings or text in everything for text in texts) and bool(texts)
            continue
        if not texts:
            continue
        share.blocks += 1
        kept = all(text in everything for text in texts)
        share.kept += kept
        share.formed += kept and all(text in of_form[FORMS[type(part)]] for text in texts)
        longest = max(texts, key=len)
        share.doubled += kept and len(longest) > 30 and everything.count(longest) > original.count(longest)
        if not kept:
            share.lost.append(next(text for text in texts if text not in everything))


def texts_of(part: Part) -> list[str]:
    match part:
        case Bullets(items):
            return [text for _, text in items]
        case Grid(rows):
            return [cell for row in rows for cell in row]
        case _:
            return [part.text]


def squeezed(text: str) -> str:
    """Letters and digits alone: how words are divided at the end of a line is the format's own business."""
    return re.sub(r"[\W_]+", "", text).lower()


def table_of(shares: dict[str, Share]) -> Table:
    table = Table("format", "files", "blocks", "kept", "doubled", "form kept", "headings kept", "ms a file")
    for suffix, share in shares.items():
        table.add_row(
            suffix,
            *map(str, (share.files, share.blocks)),
            f"{share.kept / share.blocks:.2%}",
            str(share.doubled),
            f"{share.formed / share.blocks:.1%}",
            f"{share.headings_kept / share.headings:.1%}" if share.headings else "-",
            f"{share.milliseconds / share.files:.1f}",
        )
    return table


async def timed(folder: Path, data: Path) -> str:
    """How long the folder takes to be indexed, and the same passages in the encoder alone, each once after a warm-up."""
    settings = Settings()
    worker = InferenceWorker("encode", partial(load_models, settings), capacity=8)
    encoder = (await worker.loaded()).encoder
    store = await SqliteKnowledge.open(data)
    texts = [
        embedded_text(document.title, passage.heading, passage.body)
        for document in read_all(folder)
        for passage in split(document, encoder.count_tokens, settings.knowledge.passage_tokens)
    ]
    texts = list(dict.fromkeys(texts))
    encoder.encode(texts[:64])
    started, alone = processor_seconds(), time.perf_counter()
    encoder.encode(texts)
    alone_processor, alone = processor_seconds() - started, time.perf_counter() - alone
    started = processor_seconds()
    report = await Indexer(store, AsyncEncoder(worker), settings.knowledge.passage_tokens).index_folder(folder)
    processor = processor_seconds() - started
    await store.close()
    await worker.close()
    problems = Counter(file.problem for file in report.files if file.problem)
    return (
        f"{len(report.files)} files, {report.passages} passages ({len(texts)} different), problems: {dict(problems)}\n"
        f"encoder alone {alone:.1f} s, indexing {report.seconds:.1f} s: {report.seconds / alone:.2f} times\n"
        f"processor time {alone_processor:.1f} s and {processor:.1f} s, all processes: {processor / alone_processor:.2f} times"
    )


def processor_seconds() -> float:
    """Of this process and those that it has started and that have ended. A busy machine changes it little."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read_all(folder: Path) -> Iterator[Document]:
    with Converter() as converter:
        for file in sorted(folder.iterdir()):
            yield converter.read(file.name, file.read_bytes())


if __name__ == "__main__":
    main()
