"""Commands about documents: indexing, searching, adding and removing."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import (
    ConfigOption,
    ExitCode,
    JsonOption,
    best_passages,
    console,
    print_json,
    refresh_index,
    say,
    settings_of,
    with_application,
)
from bot.core.text import counted

if TYPE_CHECKING:
    from bot.core.documents import Document
    from bot.core.messages import Citation
    from bot.core.settings import Settings
    from bot.knowledge.checks import Finding
    from bot.knowledge.indexer import IndexReport
    from bot.knowledge.remarks import Kind
    from bot.runtime.application import Application
    from bot.storage.base import FileReport

# Of more remarks of one kind, the first are named and the others counted.
_MOST_NAMED = 5
# With more files than this, only those that have changed are named, up to as many.
_MOST_FILES = 20


def index(
    check: Annotated[
        bool,
        typer.Option("--check", help="Check all documents for what makes answers worse, not the changed ones only."),
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Put the new index in also where golden questions get worse.")
    ] = False,
    show: Annotated[
        Path | None,
        typer.Option(help="Show what the bot reads in this file, block by block with places, and index nothing."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the index in step with the documents, and report on every file."""
    if show is not None:
        _show(show, settings_of(config), as_json=as_json)
        return

    async def report(application: "Application") -> None:
        from bot.knowledge.checks import check as findings_on

        report = await refresh_index(application, lines=True)
        documents = None if check else report.changed
        findings = await findings_on(
            application.stores.knowledge,
            application.inference.encoder,
            application.settings.encoder.languages,
            documents,
        )
        if as_json:
            found = [{"document": f.document, "place": str(f.locator), "text": f.text} for f in findings]
            print_json(asdict(report) | {"passages": report.passages, "findings": found})
        else:
            print_report(report, findings)
        if report.review is not None and not report.review.accepted:
            raise typer.Exit(ExitCode.FAILURE)

    with_application(settings_of(config), report, fresh=False, accept=accept)


def _show(file: Path, settings: "Settings", *, as_json: bool) -> None:
    """Read a file, of the knowledge folder or any other, and print its blocks."""
    from bot.core.errors import DocumentError
    from bot.knowledge.converter import Converter, Limits
    from bot.knowledge.folder import FileChanging, read_file

    chosen = settings.knowledge
    try:
        there = chosen.folder / file
        _, content = read_file(there if there.exists() else file)
        with Converter(Limits(chosen.convert_seconds, chosen.convert_megabytes * 2**20)) as converter:
            document = converter.read(file.as_posix(), content)
    except (OSError, FileChanging) as error:
        raise DocumentError(f"{file} can't be read ({error}); give its path, or its path in {chosen.folder}") from error
    except DocumentError as error:
        raise DocumentError(f"{file}: {error}") from error
    if as_json:
        blocks = [asdict(block) | {"place": str(block.locator)} for block in document.blocks]
        print_json(asdict(document) | {"blocks": blocks})
    else:
        _print_document(document)


def _print_document(document: "Document") -> None:
    from rich.text import Text

    from bot.core.documents import trail
    from bot.core.text import safe

    screen = console()
    for name, value in (("Title", document.title), ("Address", document.url), ("Language", document.language)):
        if value:
            screen.print(Text(_line(f"{name}: {value}")))
    for warning in document.warnings:
        screen.print(Text(_line(f"{warning}.")), style="yellow")
    for block in document.blocks:
        place = ", ".join(filter(None, (str(block.locator), str(block.form))))
        screen.print(Text(_line(f"{place}: {trail(document.title, block.heading)}"), style="bold"))
        for text, style in ((block.context, "dim"), (block.text, "")):
            if text:
                screen.print_indented(Text(safe(text), style=style))
    screen.print(f"{counted(len(document.blocks), 'block')}.")


def print_report(report: "IndexReport", findings: "Sequence[Finding]") -> None:
    """Print the remarks, the worst first, then the files, then the sum. Paths are never cut, so that they can be copied."""
    from bot.knowledge.remarks import by_kind

    screen = console()
    for kind in by_kind(report.files, findings):
        _print_kind(kind, "red" if kind.unread else "yellow")
    if report.review is not None and report.review.accepted:
        for sentence in report.review.findings:
            screen.print(_line(sentence))
    if report.passed_over:
        formats = (f"{count} {suffix}" for suffix, count in sorted(report.passed_over.items()))
        screen.print(f"Passed over, because their formats aren't read: {', '.join(formats)}.")
    _print_files([file for file in report.files if not file.problem], set(report.changed))
    screen.print(report.summary)
    if not report.passages:
        screen.print("There is nothing to answer from: put documents into the knowledge folder.", style="yellow")


def _print_kind(kind: "Kind", style: str) -> None:
    from rich.text import Text

    screen, text = console(), Text(_line(f"{kind.text}."), style=style)
    if len(kind.remarks) == 1:
        screen.print(_line(f"{kind.remarks[0].place}:"), style="bold", soft_wrap=True)
        screen.print_indented(text)
        return
    screen.print(Text.assemble((f"{len(kind.remarks)} times: ", "bold"), text))
    for remark in kind.remarks[:_MOST_NAMED]:
        screen.print(_line(": ".join(filter(None, (remark.place, remark.own))), indent="  "), soft_wrap=True)
    if len(kind.remarks) > _MOST_NAMED:
        screen.print(f"  and {len(kind.remarks) - _MOST_NAMED} more; all of them: knowledge-bot index --json")


def _print_files(files: "Sequence[FileReport]", changed: "set[str]") -> None:
    """Print the files that were read; if they are many, only those that have changed."""
    named = files if len(files) <= _MOST_FILES else [file for file in files if file.path in changed][:_MOST_FILES]
    screen = console()
    if named:
        screen.print("passages  file", style="bold")
    for file in named:
        screen.print(_line(file.path, indent=f"{file.passages:>8}  "), soft_wrap=True)
    if len(files) > len(named):
        left = counted(len(files) - len(named), "other file" if named else "file")
        screen.print(f"{'and ' if named else ''}{left}; all of them: knowledge-bot index --json")


def _line(text: str, indent: str = "") -> str:
    """Return text of documents and file names, safe to print, on one line."""
    from bot.core.text import safe

    return indent + " ".join(safe(text).split())


def search(
    text: Annotated[str, typer.Argument(help="What to search for.")],
    count: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the passages that are found for a text, with their scores."""

    async def find(application: "Application") -> None:
        found = await best_passages(application, text, count)
        if as_json:
            print_json([asdict(citation) | {"score": hit.score, "cosine": max(hit.cosines)} for hit, citation in found])
        else:
            print_passages([(hit.score, citation) for hit, citation in found])

    with_application(settings_of(config), find)


def print_passages(found: "Sequence[tuple[float, Citation]]") -> None:
    from rich.padding import Padding
    from rich.rule import Rule

    from bot.adapters.layout import source_line
    from bot.adapters.screen import shown
    from bot.core.markup import Piece

    screen = console()
    for score, citation in found:
        screen.print(Rule(f"{score:.2f}  {source_line(citation)}", align="left", style="dim"))
        screen.print(Padding(shown([Piece(citation.quote, citation.markup)]), (0, 0, 1, 2)))
    if not found:
        screen.print("Nothing found.")


def add(
    file: Annotated[Path, typer.Argument(help="The file to add.", exists=True, dir_okay=False)],
    path: Annotated[str, typer.Option("--as", help="Its path in the knowledge folder. Default: its name.")] = "",
    config: ConfigOption = None,
) -> None:
    """Put a document into the knowledge folder, in place of one with the same path, and index it."""

    async def put(application: "Application") -> None:
        from bot.runtime.application import administration_of

        report = await administration_of(application).add_document(path or file.name, file.read_bytes())
        say(f"{report.path}: {counted(report.passages, 'passage')}")

    with_application(settings_of(config), put, fresh=False)


def remove(
    path: Annotated[str, typer.Argument(help="The document's path in the knowledge folder.")],
    config: ConfigOption = None,
) -> None:
    """Delete a document from the knowledge folder and take it out of the index."""

    async def delete(application: "Application") -> None:
        from bot.runtime.application import administration_of

        await administration_of(application).remove_document(path)
        say(f"{path}: removed")

    with_application(settings_of(config), delete, fresh=False)
