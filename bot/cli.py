"""The commands, each a few lines that call a room. What takes long to import is imported by the command that needs it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot import __version__
from bot.errors import BotError, SettingsError
from bot.settings import CONFIG_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from bot.daemon import House
    from bot.knowledge.checks import Finding
    from bot.knowledge.indexer import IndexReport
    from bot.messages import Citation


class ExitCode(IntEnum):
    FAILURE = 1
    WRONG_SETTINGS = 2
    INTERRUPTED = 130


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Answers questions from your own documents, in their own words, and says so when they don't answer.",
)
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar=CONFIG_VARIABLE, help="The settings file. Default: bot.toml, if there is one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def main() -> None:
    """Run a command; every error that has a cause a user can mend is one message without a traceback."""
    try:
        app()
    except SettingsError as error:
        _complain("Please correct the settings:", *error.problems)
        sys.exit(ExitCode.WRONG_SETTINGS)
    except BotError as error:
        _complain(str(error))
        sys.exit(ExitCode.FAILURE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has enough
        sys.stderr.close()
        sys.exit(ExitCode.FAILURE)
    except OSError as error:
        if error.filename is None:
            raise
        _complain(f"{error.filename}: {error.strerror}")  # a file or folder that the user has named
        sys.exit(ExitCode.FAILURE)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"knowledge-bot {__version__}")
        raise typer.Exit


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon: every configured platform; without one, the terminal."""
    settings = _settings(config)
    if not sys.stdin.isatty():
        raise SettingsError(
            ["there is no platform to serve, and standard input is no terminal; to ask from a pipe: knowledge-bot chat"]
        )
    _serve_terminal(settings)


@app.command()
def chat(config: ConfigOption = None) -> None:
    """Talk to the bot in this terminal. From a pipe: one question a line."""
    _serve_terminal(_settings(config))


@app.command()
def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask one question and print the answer with its source."""

    async def answer(house: "House") -> None:
        from datetime import UTC, datetime
        from uuid import uuid4

        from bot.adapters.terminal import rendered
        from bot.messages import Address, Question

        conversation = uuid4().hex
        asked = text.encode(errors="replace").decode()  # an argument may hold bytes that are no text
        question = Question(asked, conversation, "ask", Address("command", "ask", conversation), datetime.now(UTC))
        answer = await house.engine.answer(question)
        await house.conversations.forget(conversation)  # nobody can follow up
        if as_json:
            _print_json(answer.to_json())
        else:
            _console().print(rendered(answer))

    _with_house(_settings(config), answer)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What to search for.")],
    count: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the passages that are found for a text, with their scores."""

    async def find(house: "House") -> None:
        from bot.engine.compose import cite_passage
        from bot.messages import Wording

        wordings = [Wording(text)]
        hits = await house.retriever.search(wordings, await house.retriever.encode(wordings), count)
        found = [(hit, cite_passage(hit.found, house.settings.knowledge.base_url)) for hit in hits]
        if as_json:
            _print_json(
                [asdict(citation) | {"score": hit.score, "cosine": max(hit.cosines)} for hit, citation in found]
            )
        else:
            _print_passages([(hit.score, citation) for hit, citation in found])

    _with_house(_settings(config), find)


@app.command()
def index(
    check: Annotated[
        bool,
        typer.Option("--check", help="Check all documents for what makes answers worse, not the changed ones only."),
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Put the new index in also where golden questions get worse.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the index in step with the documents, and report on every file."""

    async def report(house: "House") -> None:
        from bot.knowledge.checks import check as findings_on

        report = await _refresh(house)
        documents = None if check else report.changed
        findings = await findings_on(house.knowledge, house.lane, house.settings.encoder.languages, documents)
        if as_json:
            found = [{"document": f.document, "place": str(f.locator), "text": f.text} for f in findings]
            _print_json(asdict(report) | {"passages": report.passages, "findings": found})
        else:
            _print_report(report, findings)
        if report.verdict is not None and not report.verdict.accepted:
            raise typer.Exit(ExitCode.FAILURE)

    _with_house(_settings(config), report, fresh=False, accept=accept)


@app.command()
def evaluate(
    questions: Annotated[Path, typer.Option(help="The questions, JSON lines.", exists=True, dir_okay=False)],
    documents: Annotated[
        Path | None, typer.Option(help="The documents to answer from, JSON lines.", exists=True, dir_okay=False)
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="A folder of documents to answer from instead.", exists=True, file_okay=False)
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write every answer to this file, JSON lines.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report with plots into this folder.")] = None,
    parallel: Annotated[
        int, typer.Option(min=1, help="Questions asked at once. More than one is faster, but spoils the latency.")
    ] = 1,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask a set of questions and measure the answers. The index of the bot itself is left alone."""
    if (documents is None) == (knowledge is None):
        raise typer.BadParameter("give either --documents or --knowledge")
    from bot.evaluation.metrics import measure
    from bot.evaluation.plots import require_matplotlib
    from bot.evaluation.questions import load_documents, load_questions
    from bot.evaluation.report import write_report
    from bot.evaluation.run import ask_all, prediction
    from bot.evaluation.table import render_table

    if report is not None:
        require_matplotlib()
    settings = _settings(config)
    asked = load_questions(questions)

    async def measured(house: "House") -> None:
        with _progress_bar("Indexing passages") as show:
            if documents is not None:
                await house.indexer.index_documents(load_documents(documents), lambda step: show(step.done, step.total))
            elif knowledge is not None:
                await house.indexer.index_folder(knowledge, lambda step: show(step.done, step.total))
        with _progress_bar("Asking questions") as show:
            results = await ask_all(house.engine, house.journal, asked, parallel=parallel, progress=show)
        figures = measure(results)
        title = f"{questions} against {documents or knowledge}"
        if as_json:
            _print_json(figures.to_json())
        else:
            _console().print(render_table(figures, title))
        if predictions is not None:
            lines = (json.dumps(prediction(result), ensure_ascii=False) for result in results)
            predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if report is not None:
            page = write_report(report, figures, results, threshold=settings.answer.threshold, title=title)
            typer.echo(f"Report: {page}", err=True)

    with TemporaryDirectory(prefix="knowledge-bot-") as folder:
        storage = settings.storage.model_copy(update={"folder": Path(folder)})
        _with_house(settings.model_copy(update={"storage": storage}), measured, fresh=False, golden=False)


# --- running ----------------------------------------------------------------------------------------------------------


def _settings(config: Path | None) -> Settings:
    """The settings, with logging set up: a person at the terminal is told only what there is to worry about."""
    from bot.telemetry import configure_logging

    settings = load_settings(config)
    configure_logging(settings.log, quiet=True)
    return settings


def _serve_terminal(settings: Settings) -> None:
    from bot.adapters.terminal import TerminalAdapter
    from bot.daemon import House, serve
    from bot.dispatcher import Dispatcher
    from bot.messages import Adapter

    report: IndexReport | None = None

    async def refresh(house: House) -> None:
        nonlocal report
        report = await _refresh(house)

    def adapters(house: House, dispatcher: Dispatcher) -> list[Adapter]:
        history = house.settings.storage.folder / "terminal_history"
        return [TerminalAdapter(dispatcher.accept, history=history, greeting=_greeting(report))]

    # What comes from a pipe may ask about what was written a moment ago.
    asyncio.run(serve(settings, adapters, refresh, fresh=not sys.stdin.isatty()))


def _with_house(
    settings: Settings,
    work: "Callable[[House], Awaitable[None]]",
    *,
    fresh: bool = True,
    golden: bool = True,
    accept: bool = False,
) -> None:
    """Open the rooms, bring the index up to date unless told otherwise, do the work, close."""
    from bot.daemon import open_house

    async def run() -> None:
        async with open_house(settings, golden=golden, accept=accept) as house:
            if fresh:
                await _refresh(house)
            await work(house)

    asyncio.run(run())


async def _refresh(house: "House") -> "IndexReport":
    """Index what has changed, with a progress bar where somebody watches."""
    with _progress_bar("Indexing passages") as show:
        folder = house.settings.knowledge.folder
        report = await house.indexer.index_folder(folder, lambda step: show(step.done, step.total))
    if report.verdict is not None and not report.verdict.accepted:
        _complain("The previous index was kept, because golden questions got worse:", *report.verdict.findings)
    return report


@contextmanager
def _progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many are done of how many, their rate and the time left; nothing where standard error is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.0f}/s")

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total > 0)


# --- printing ---------------------------------------------------------------------------------------------------------


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False))


def _complain(*lines: str) -> None:
    for line in lines:
        typer.secho(line, err=True, fg="red" if sys.stderr.isatty() else None)


def _greeting(report: "IndexReport | None") -> str:
    if report is None:
        return f"knowledge-bot {__version__}. Ask a question; /help lists the commands."
    if not report.passages:
        return "There are no documents yet: put some into the knowledge folder and start again."
    count = sum(1 for file in report.files if file.passages)
    known = f"{count} documents, {report.passages} passages"
    return f"knowledge-bot {__version__}: {known}. Ask a question; /help lists the commands."


def _print_passages(found: "Sequence[tuple[float, Citation]]") -> None:
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.rule import Rule

    from bot.adapters.layout import safe, source_line

    console = _console()
    for score, citation in found:
        console.print(Rule(f"{score:.2f}  {source_line(citation)}", align="left", style="dim"))
        console.print(Padding(Markdown(safe(citation.quote)), (0, 0, 1, 2)))
    if not found:
        console.print("Nothing found.")


def _print_report(report: "IndexReport", findings: "Sequence[Finding]") -> None:
    from rich.table import Table

    table = Table("file", "passages", "remarks", box=None, pad_edge=False, header_style="bold")
    for file in report.files:
        remarks = "; ".join(filter(None, (file.problem, *file.warnings)))
        table.add_row(_line(file.path), "-" if file.problem else str(file.passages), _line(remarks))
    console = _console()
    console.print(table)
    for finding in findings:
        place = ", ".join(filter(None, (finding.document, str(finding.locator))))
        console.print(_line(f"{place}: {finding.text}."), style="yellow", markup=False)
    if report.verdict is not None and report.verdict.accepted:
        for sentence in report.verdict.findings:
            console.print(_line(sentence), markup=False)
    if report.passed_over:
        counted = (f"{count} {suffix}" for suffix, count in sorted(report.passed_over.items()))
        console.print(f"Passed over, because their formats aren't read: {', '.join(counted)}.", markup=False)
    console.print(
        f"{report.passages} passages of {len(report.files)} files; {len(report.changed)} files changed, "
        f"{len(report.removed)} removed, {report.embedded} passages embedded in {report.seconds:.1f} s."
    )
    if not report.passages:
        console.print("There is nothing to answer from: put documents into the knowledge folder.", style="yellow")


def _line(text: str) -> str:
    """Text of documents and file names, safe to print, on one line."""
    from bot.adapters.layout import safe

    return " ".join(safe(text).split())
