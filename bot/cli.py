"""The commands, each a few lines that call a room. What takes long to import is imported by the command that needs it."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot import __version__
from bot.commands.common import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    console,
    print_json,
    progress_bar,
    refresh_index,
    settings_of,
    with_house,
)
from bot.commands.finetune import app as finetune_app
from bot.errors import BotError, SettingsError
from bot.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.administration import Administration
    from bot.daemon import House
    from bot.diagnosis import Diagnosis
    from bot.dispatcher import Dispatcher
    from bot.engine.explain import Explanation
    from bot.engine.gaps import Gap
    from bot.evaluation.questions import QuestionSet
    from bot.http_server import HttpServer
    from bot.inference.inventory import Installed
    from bot.knowledge.checks import Finding
    from bot.knowledge.indexer import IndexReport
    from bot.messages import Citation, Question, Service
    from bot.storage.base import Feedback, Hit

# As many passages as anyone looks through in the list of an inline query.
_INLINE_RESULTS = 5


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Answers questions from your own documents, in their own words, and says so when they don't answer.",
)
PlatformArgument = Annotated[Literal["discord", "telegram"], typer.Argument(help="discord or telegram.")]
AskedPlatform = Annotated[
    Literal["discord", "telegram", "http", "terminal"], typer.Argument(help="discord, telegram, http or terminal.")
]
AsideOption = Annotated[
    bool,
    typer.Option("--set-damaged-aside", help="Rename a damaged index or journal and begin a new one, which loses it."),
]


def main() -> None:
    """Run a command; every error that has a cause a user can mend is one message without a traceback."""
    try:
        app()
    except SettingsError as error:
        complain("Please correct the settings:", *error.problems)
        sys.exit(ExitCode.WRONG_SETTINGS)
    except BotError as error:
        complain(str(error))
        sys.exit(ExitCode.FAILURE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has enough
        sys.stderr.close()
        sys.exit(ExitCode.FAILURE)
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}")  # a file or folder that the user has named
        sys.exit(ExitCode.FAILURE)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"knowledge-bot {__version__}")
        raise typer.Exit


@app.command()
def run(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Run the daemon: every platform whose token is set, and HTTP. Without a platform: the terminal, if there is one."""
    settings = load_settings(config)
    if not settings.platforms and sys.stdin.isatty():
        _serve_terminal(settings_of(config), set_damaged_aside)
    elif settings.platforms or settings.http.enabled:
        _serve_platforms(settings, set_damaged_aside)
    else:
        raise SettingsError(
            [
                "there is no platform to serve, and standard input is no terminal; set DISCORD_TOKEN or TELEGRAM_TOKEN, "
                "allow questions by HTTP (http.enabled), or ask from a pipe: knowledge-bot chat"
            ]
        )


@app.command()
def chat(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Talk to the bot in this terminal. From a pipe: one question a line."""
    _serve_terminal(settings_of(config), set_damaged_aside)


@app.command()
def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask one question and print the answer with its source."""

    async def answer(house: "House") -> None:
        from bot.adapters.terminal import rendered

        await house.generator_loaded.wait()
        answer = (await house.engine.consider(_question(text))).answer  # nobody can follow up
        if as_json:
            print_json(answer.to_json())
        else:
            console().print(rendered(answer))

    with_house(settings_of(config), answer)


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What the text goes on with, as it stands.")],
    model: Annotated[str, typer.Option(help="An id or a folder. Default: generator.model.")] = "",
    max_new_tokens: Annotated[int | None, typer.Option(help="How many tokens the model may write.")] = None,
    do_sample: Annotated[
        bool | None, typer.Option("--sample/--no-sample", help="Whether words are chosen by chance.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="How adventurous the choice of words is.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="The share of the probability that words are chosen from.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="How much less likely a word gets that stands there already.")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="A text at which the model stops; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="What chance starts from.")] = None,
    config: ConfigOption = None,
) -> None:
    """Let a language model go on with a text, to get to know it. Nothing is searched, nothing is checked."""
    given = {
        "model": model or None,
        "max_new_tokens": max_new_tokens,
        "do_sample": True if do_sample is None and (temperature or top_p) else do_sample,
        "temperature": temperature,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "stop": stop or None,
        "seed": seed,
    }
    settings = settings_of(config)
    chosen = {name: value for name, value in given.items() if value is not None}
    asyncio.run(_write(_with_options(settings, chosen), _printable(prompt)))


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What to search for.")],
    count: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the passages that are found for a text, with their scores."""

    async def find(house: "House") -> None:
        found = await _found(house, text, count)
        if as_json:
            print_json([asdict(citation) | {"score": hit.score, "cosine": max(hit.cosines)} for hit, citation in found])
        else:
            _print_passages([(hit.score, citation) for hit, citation in found])

    with_house(settings_of(config), find)


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

        report = await refresh_index(house)
        documents = None if check else report.changed
        findings = await findings_on(house.knowledge, house.lane, house.settings.encoder.languages, documents)
        if as_json:
            found = [{"document": f.document, "place": str(f.locator), "text": f.text} for f in findings]
            print_json(asdict(report) | {"passages": report.passages, "findings": found})
        else:
            _print_report(report, findings)
        if report.verdict is not None and not report.verdict.accepted:
            raise typer.Exit(ExitCode.FAILURE)

    with_house(settings_of(config), report, fresh=False, accept=accept)


@app.command()
def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what the bot answers from, what waits, and what people thought of the answers."""

    async def show(house: "House") -> None:
        from bot.daemon import administration_of

        status = await administration_of(house).status()
        if as_json:
            print_json(asdict(status))
        else:
            console().print("\n".join(status.lines()), markup=False, soft_wrap=True)

    with_house(settings_of(config), show, fresh=False)


@app.command()
def health(
    ready: Annotated[
        bool, typer.Option("--ready", help="Fail unless every component does its work, not only where no bot runs.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask the bot that runs on this machine how its components are."""
    from bot.probe import ask_ready

    settings = load_settings(config)
    answer = ask_ready(settings.http)
    if as_json:
        print_json(answer.told)
    else:
        typer.echo("\n".join(answer.lines()))
    if ready and not answer.ready:
        raise typer.Exit(ExitCode.FAILURE)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The file to add.", exists=True, dir_okay=False)],
    path: Annotated[str, typer.Option("--as", help="Its path in the knowledge folder. Default: its name.")] = "",
    config: ConfigOption = None,
) -> None:
    """Put a document into the knowledge folder, in place of one with the same path, and index it."""

    async def put(house: "House") -> None:
        from bot.daemon import administration_of

        report = await administration_of(house).add_document(path or file.name, file.read_bytes())
        typer.echo(f"{report.path}: {report.passages} passages")

    with_house(settings_of(config), put, fresh=False)


@app.command()
def remove(
    path: Annotated[str, typer.Argument(help="The document's path in the knowledge folder.")],
    config: ConfigOption = None,
) -> None:
    """Delete a document from the knowledge folder and take it out of the index."""

    async def delete(house: "House") -> None:
        from bot.daemon import administration_of

        await administration_of(house).remove_document(path)
        typer.echo(f"{path}: removed")

    with_house(settings_of(config), delete, fresh=False)


@app.command()
def policy(
    platform: PlatformArgument,
    chat: Annotated[str, typer.Argument(help="The id of the chat. Left out: show all policies.")] = "",
    policy: Annotated[str, typer.Argument(help="mention, always, forum, off, or default.")] = "",
    config: ConfigOption = None,
) -> None:
    """Show, or set for one chat, when the bot answers there."""
    from bot.messages import Policy

    wanted = None
    if policy not in ("", "default"):
        try:
            wanted = Policy(policy)
        except ValueError as error:
            raise typer.BadParameter(f"{policy}: mention, always, forum, off, or default") from error

    async def change(house: "House") -> None:
        from bot.daemon import administration_of

        administration = administration_of(house)
        if policy:
            await administration.set_policy(platform, chat, wanted)
        for known, kept in (await administration.policies(platform)).items():
            if known == chat or not chat:
                typer.echo(f"{known}: {kept}")

    with_house(settings_of(config), change, fresh=False)


@app.command()
def feedback(
    count: Annotated[int, typer.Option("-k", min=1, help="How many, the latest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what people thought of answers, with their reasons."""

    async def show(house: "House") -> None:
        from bot.daemon import administration_of

        given = await administration_of(house).feedback(count)
        if as_json:
            print_json([one.to_json() for one in given])
        else:
            _print_feedback(given)

    with_house(settings_of(config), show, fresh=False)


@app.command()
def forget(
    platform: AskedPlatform,
    author: Annotated[str, typer.Argument(help="The platform's id of the user; for http, the user that was named.")],
    config: ConfigOption = None,
) -> None:
    """Erase what somebody has asked: questions, answers, conversation turns and feedback."""

    async def erase(house: "House") -> None:
        from bot.daemon import administration_of

        forgotten = await administration_of(house).forget(platform, author)
        typer.echo(
            f"Erased: {forgotten.questions} questions, {forgotten.turns} conversation turns, "
            f"{forgotten.feedback} pieces of feedback."
        )

    with_house(settings_of(config), erase, fresh=False)


@app.command()
def evaluate(
    questions: Annotated[
        Path | None, typer.Option(help="The questions, JSON lines.", exists=True, dir_okay=False)
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="The documents to answer from, JSON lines.", exists=True, dir_okay=False)
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="A folder of documents to answer from instead.", exists=True, file_okay=False)
    ] = None,
    sets: Annotated[
        list[Path] | None,
        typer.Option(
            "--set", help="A folder with documents.jsonl and questions.jsonl; may be repeated.", file_okay=False
        ),
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="More questions to ask of each set.", exists=True, dir_okay=False)
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Fit the confidence to the results and write it to this file.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write every answer to this file, JSON lines.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report with plots into this folder.")] = None,
    parallel: Annotated[
        int, typer.Option(min=1, help="Questions asked at once. More than one is faster, but spoils the latency.")
    ] = 1,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask sets of questions and measure the answers. The index of the bot itself is left alone."""
    from bot.evaluation.questions import QuestionSet

    chosen = [QuestionSet.of_folder(folder) for folder in sets or ()]
    if questions is not None and (documents is None) != (knowledge is None):
        chosen.append(QuestionSet(str(questions), questions, documents, knowledge))
    elif questions is not None or documents is not None or knowledge is not None or not chosen:
        raise typer.BadParameter("give --questions with either --documents or --knowledge, or one --set or more")
    if len(chosen) > 1 and (predictions is not None or report is not None):
        raise typer.BadParameter("--predictions and --report are for one set at a time")
    _evaluate(settings_of(config), chosen, beside, calibrate, predictions, report, parallel, as_json)


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show why a question is answered as it is, or why not: what was found and read, and which setting decided."""

    async def show(house: "House") -> None:
        from bot.daemon import administration_of

        told = await administration_of(house).explain(_printable(text))
        if as_json:
            print_json(told.to_json())
        else:
            _print_explanation(told)

    with_house(settings_of(config), show)


@app.command()
def gaps(
    count: Annotated[int, typer.Option("-k", min=1, help="How many, those asked most often first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what people have asked and the documents don't answer, grouped by meaning."""

    async def show(house: "House") -> None:
        from bot.daemon import administration_of

        found = (await administration_of(house).gaps())[:count]
        if as_json:
            print_json([gap.to_json() for gap in found])
        else:
            _print_gaps(found)

    with_house(settings_of(config), show, fresh=False)


@app.command()
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the platforms.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Look for everything that can be wrong, and say what to do about it."""
    from bot.diagnosis import Level
    from bot.doctor import examine

    async def run() -> "list[Diagnosis]":
        found = []
        with progress_bar("Trying the threshold") as show:
            async for one in examine(settings_of(config), online=not offline, progress=show):
                found.append(one)
                if not as_json:
                    colour = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}[one.level]
                    typer.echo(f"{typer.style(f'{one.level:7}', fg=colour)}  {one.subject}: {one.text}")
        return found

    found = asyncio.run(run())
    if as_json:
        print_json([asdict(one) for one in found])
    if any(one.level is Level.ERROR for one in found):
        raise typer.Exit(ExitCode.FAILURE)


@app.command()
def bench(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Measure what this machine can do with the models of the settings, and recommend settings."""

    async def run(house: "House") -> None:
        from bot.bench import measure, recommended

        with progress_bar("Measuring") as show:
            figures = await measure(house, show)
        advice = recommended(figures, house.settings)
        if as_json:
            print_json(asdict(figures) | {"recommended": advice})
            return
        told = (f"  {line}" for line in advice) if advice else ["  nothing: the settings suit this machine"]
        typer.echo("\n".join([*figures.lines(), "recommended settings:", *told]))

    with_house(settings_of(config), run)


@app.command()
def backup(
    archive: Annotated[Path, typer.Argument(help="The file to write, such as bot.tar.gz.", dir_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Write the data folder into one archive, also while the bot runs."""
    from bot.storage.data_folder import back_up

    typer.echo(f"{archive}: {', '.join(back_up(settings_of(config).storage.folder, archive))}")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="A file that `backup` has written.", dir_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Put the data folder back as it was when a backup was made. The bot must be stopped."""
    from bot.storage.data_folder import restore as put_back

    folder = settings_of(config).storage.folder
    before = put_back(archive, folder)
    typer.echo(f"{folder}: restored." + (f" What stood there before is in {before}." if before else ""))


models_app = typer.Typer(help="Show the models that are configured: where they lie, and what they take.")
app.add_typer(models_app, name="models")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    if context.invoked_subcommand is not None:
        return
    from bot.inference.inventory import installed

    found = list(installed(settings_of(config)))
    if as_json:
        print_json([asdict(model) | {"folder": str(model.folder or "")} for model in found])
    else:
        _print_models(found)


@models_app.command("download")
def download_model(
    model: Annotated[str, typer.Argument(help="The model's id. Default: generator.model.")] = "",
    revision: Annotated[str, typer.Option(help="A commit or tag of the model's repository.")] = "",
    config: ConfigOption = None,
) -> None:
    """Fetch a model from the Hugging Face hub into the cache."""
    from bot.inference.weights import download

    settings = settings_of(config).generator
    fetched = download(model or settings.model, revision or ("" if model else settings.revision))
    typer.echo(f"{model or settings.model}: {fetched.folder}")


@models_app.command("remove")
def remove_model(model: Annotated[str, typer.Argument(help="The model's id.")]) -> None:
    """Delete a model from the Hugging Face cache."""
    from bot.inference.inventory import remove

    typer.echo(f"{model}: removed, {remove(model) / 1e6:.0f} MB freed")


app.add_typer(finetune_app, name="finetune")


@app.command("train-reader")
def train_reader(
    data: Annotated[Path, typer.Option(help="The folder of training data.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option(help="Where the model and its checkpoints go.")],
    sentence_examples: Annotated[int, typer.Option(min=1, help="How many examples the first phase has.")] = 24_000,
    paragraph_examples: Annotated[int, typer.Option(min=1, help="How many examples the second phase has.")] = 60_000,
    seed: Annotated[int, typer.Option(help="What the random choices start from.")] = 20,
) -> None:
    """Train the model that marks the words that answer. Takes hours; the same command goes on after an interruption."""
    from bot.training.reader import ReaderTraining, train

    plan = ReaderTraining(seed=seed, sentence_examples=sentence_examples, paragraph_examples=paragraph_examples)
    with progress_bar("Training on examples") as show:
        figures = train(data, output, plan, show)
    for name, measured in figures.items():
        typer.echo(f"{name}: " + ", ".join(f"{what} {value:g}" for what, value in measured.items()))


# --- running ----------------------------------------------------------------------------------------------------------


def _serve_platforms(settings: Settings, set_damaged_aside: bool) -> None:
    from bot.daemon import serve
    from bot.telemetry import configure_logging

    def services(house: "House", dispatcher: "Dispatcher", administration: "Administration") -> "list[Service]":
        """One for each platform whose token is set, and HTTP."""
        made: list[Service] = []
        webhooks: list[APIRouter] = []
        if "discord" in settings.platforms:
            from bot.adapters.discord import DiscordAdapter

            forget = house.conversations.forget
            made.append(DiscordAdapter(dispatcher, administration, house.journal, forget, settings.discord))
        if "telegram" in settings.platforms:
            telegram = _telegram(house, dispatcher, administration)
            made.append(telegram)
            webhooks += [telegram.webhook.router] if telegram.webhook else []
        if settings.http.enabled:
            made.append(_http(house, dispatcher, webhooks))
        elif webhooks:
            raise SettingsError(["telegram.webhook_url: the webhook needs the HTTP server; set http.enabled to true"])
        return made

    configure_logging(settings.log, quiet=False, secrets=settings.secrets)
    asyncio.run(serve(settings, services, refresh_index, set_damaged_aside=set_damaged_aside))


def _telegram(house: "House", dispatcher: "Dispatcher", administration: "Administration") -> "TelegramAdapter":
    from bot.adapters.telegram.adapter import TelegramAdapter

    async def search(text: str) -> "Sequence[Citation]":
        return [citation for _, citation in await _found(house, text, _INLINE_RESULTS)]

    return TelegramAdapter(house.settings, dispatcher, administration, house.journal, house.conversations, search)


def _http(house: "House", dispatcher: "Dispatcher", webhooks: "Sequence[APIRouter]") -> "HttpServer":
    from bot.adapters.http import HttpAdapter
    from bot.http_server import HttpServer

    settings = house.settings.http
    api = HttpAdapter(dispatcher, house.lane.count_tokens, settings)
    server = HttpServer(settings, webhooks, api=api, health=house.health)
    if webhooks or not house.settings.platforms:  # nobody could ask without it
        server.listen()
    if not house.settings.platforms:
        _say_how_to_ask(server)
    return server


def _say_how_to_ask(server: "HttpServer") -> None:
    complain(
        "No platform has a token, so questions are taken by HTTP. Ask, once the bot has started:",
        f"  curl {server.address}/v1/answers -H 'Content-Type: application/json' "
        + ("-H 'Authorization: Bearer ...' " if server.needs_token else "")
        + """-d '{"question": "What can you answer?"}'""",
        f"More ways to ask: {server.address}/docs",
    )


def _with_options(settings: Settings, given: dict[str, Any]) -> Settings:
    """The settings with others for the generator, from the command line. Raises SettingsError."""
    from pydantic import ValidationError

    from bot.settings import GeneratorSettings

    try:
        generator = GeneratorSettings.model_validate(settings.generator.model_dump() | given)
    except ValidationError as error:
        options = (f"--{str(one['loc'][0]).replace('_', '-')}: {one['msg']}" for one in error.errors())
        raise SettingsError(list(options)) from error
    return settings.model_copy(update={"generator": generator})


async def _write(settings: Settings, prompt: str) -> None:
    """Print what the generator writes, as it comes."""
    from contextlib import aclosing

    from bot.adapters.layout import safe
    from bot.daemon import make_generator

    generator = await asyncio.to_thread(make_generator, settings)
    try:
        async with aclosing(generator.stream(prompt)) as pieces:
            async for piece in pieces:
                typer.echo(safe(piece), nl=False)
        typer.echo()
    finally:
        await generator.close()


def _question(text: str) -> "Question":
    """A question from the command line, in a conversation of its own."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from bot.messages import Address, Question

    conversation = uuid4().hex
    address = Address("command", "command", conversation)
    return Question(_printable(text), conversation, "command", address, datetime.now(UTC))


def _printable(text: str) -> str:
    """An argument as text: it may hold bytes that are none."""
    return text.encode(errors="replace").decode()


def _serve_terminal(settings: Settings, set_damaged_aside: bool) -> None:
    from bot.adapters.terminal import TerminalAdapter
    from bot.administration import Administration
    from bot.daemon import House, serve
    from bot.dispatcher import Dispatcher
    from bot.messages import Adapter

    report: IndexReport | None = None

    async def refresh(house: House) -> None:
        nonlocal report
        report = await refresh_index(house)

    def adapters(house: House, dispatcher: Dispatcher, _administration: Administration) -> list[Adapter]:
        history = house.settings.storage.folder / "terminal_history"
        return [TerminalAdapter(dispatcher.accept, history=history, greeting=_greeting(report))]

    # What comes from a pipe may ask about what was written a moment ago.
    fresh = not sys.stdin.isatty()
    asyncio.run(serve(settings, adapters, refresh, at_terminal=True, fresh=fresh, set_damaged_aside=set_damaged_aside))


def _evaluate(
    settings: Settings,
    sets: "Sequence[QuestionSet]",
    beside: Path | None,
    calibrate: Path | None,
    predictions: Path | None,
    report: Path | None,
    parallel: int,
    as_json: bool,
) -> None:
    from bot.evaluation.calibration import fit
    from bot.evaluation.metrics import measure
    from bot.evaluation.plots import require_matplotlib
    from bot.evaluation.questions import load_documents, load_questions
    from bot.evaluation.report import write_report
    from bot.evaluation.run import Result, ask_all, prediction
    from bot.evaluation.table import render_calibration, render_table

    if report is not None:
        require_matplotlib()
    further = load_questions(beside) if beside else []
    results: dict[str, list[Result]] = {}

    async def ask(house: "House", chosen: "QuestionSet") -> None:
        asked = load_questions(chosen.questions) + further
        with progress_bar("Indexing passages") as show:
            if chosen.documents is not None:
                loaded = load_documents(chosen.documents)
                await house.indexer.index_documents(loaded, lambda step: show(step.done, step.total))
            elif chosen.knowledge is not None:
                await house.indexer.index_folder(chosen.knowledge, lambda step: show(step.done, step.total))
        await house.generator_loaded.wait()
        with progress_bar("Asking questions") as show:
            results[chosen.name] = await ask_all(house.engine, house.journal, asked, parallel=parallel, progress=show)

    for chosen in sets:
        with TemporaryDirectory(prefix="knowledge-bot-") as folder:
            storage = settings.storage.model_copy(update={"folder": Path(folder)})
            separate = settings.model_copy(update={"storage": storage})
            with_house(separate, lambda house, chosen=chosen: ask(house, chosen), fresh=False, golden=False)  # type: ignore[misc]
        figures = measure(results[chosen.name])
        title = f"{chosen.questions} against {chosen.documents or chosen.knowledge}"
        if as_json:
            print_json({"set": chosen.name} | figures.to_json())
        else:
            console().print(render_table(figures, title), "")
        if predictions is not None:
            lines = (json.dumps(prediction(result), ensure_ascii=False) for result in results[chosen.name])
            predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if report is not None:
            page = write_report(report, figures, results[chosen.name], threshold=settings.answer.threshold, title=title)
            typer.echo(f"Report: {page}", err=True)
    if calibrate is not None:
        fitted = fit(results)
        fitted.calibration.save(calibrate)
        console().print(render_calibration(fitted))
        typer.echo(f"Calibration: {calibrate}", err=True)


async def _found(house: "House", text: str, count: int) -> "list[tuple[Hit, Citation]]":
    """The best passages for a text, best first, each with its citation."""
    from bot.engine.compose import cite_passage
    from bot.messages import Wording

    wordings = [Wording(text)]
    hits = await house.retriever.search(wordings, await house.retriever.encode(wordings), count)
    return [(hit, cite_passage(hit.found, house.settings.knowledge.base_url)) for hit in hits]


# --- printing ---------------------------------------------------------------------------------------------------------


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

    screen = console()
    for score, citation in found:
        screen.print(Rule(f"{score:.2f}  {source_line(citation)}", align="left", style="dim"))
        screen.print(Padding(Markdown(safe(citation.quote)), (0, 0, 1, 2)))
    if not found:
        screen.print("Nothing found.")


def _print_models(found: "Sequence[Installed]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "model", "where", "on disk", "in memory", "as", box=None, pad_edge=False, header_style="bold")
    for one in found:
        where = one.source or "nowhere"
        sizes = [f"{size / 1e6:,.0f} MB" if size else "-" for size in (one.size, one.memory)]
        table.add_row(one.role, Text(one.model), Text(where), *sizes, one.dtype or "-")
    console().print(table)
    for one in found:
        if one.missing:
            console().print(Text(f"{one.role}: {one.missing}", style="yellow"))


def _print_feedback(given: "Sequence[Feedback]") -> None:
    from rich.table import Table

    from bot.adapters.layout import safe

    table = Table("reference", "helpful", "reason", "question", box=None, pad_edge=False, header_style="bold")
    for one in given:
        question = one.stored.question.text if one.stored else "(erased)"
        table.add_row(one.reference, "yes" if one.helpful else "no", safe(one.reason), safe(question))
    console().print(table if given else "There is no feedback yet.")


def _print_gaps(found: "Sequence[Gap]") -> None:
    from datetime import datetime

    from rich.table import Table
    from rich.text import Text

    from bot.adapters.layout import safe

    table = Table("asked", "question", "nearest documents", "confidence", "last")
    for gap in found:
        last = datetime.fromtimestamp(gap.last_at).astimezone().strftime("%Y-%m-%d")
        others = [Text(f"also: {safe(text)}", style="dim") for text in gap.questions[1:4]]
        questions = Text("\n").join([Text(safe(gap.questions[0])), *others])
        nearest = Text(safe(", ".join(gap.nearest)))
        table.add_row(str(len(gap.questions)), questions, nearest, f"{gap.confidence:.2f}", last)
    console().print(table if found else "Nothing was declined.")


def _print_explanation(told: "Explanation") -> None:
    from rich.markdown import Markdown
    from rich.table import Table
    from rich.text import Text

    from bot.adapters.layout import safe, source_line

    screen = console()
    for text, weight in told.wordings:
        screen.print(Text(f"Searched for ({weight:.0%}): {safe(text)}"))
    if told.candidates:
        table = Table("confidence", "search", "words", "reader", "best words", "where", title="What was read")
        for candidate in told.candidates:
            scores = (candidate.confidence, candidate.retrieval, candidate.covered)
            columns = [*(f"{score:.2f}" for score in scores), f"{candidate.margin:+.1f}"]
            table.add_row(*columns, Text(safe(candidate.citation.quote)), Text(source_line(candidate.citation)))
        screen.print(table)
    if told.unread:
        screen.print(Text(f"Found but not read: {safe(', '.join(told.unread))}", style="dim"))
    for sentence in told.advice:
        screen.print(Text(sentence, style="bold"))
    screen.print(Markdown(safe(told.answer)))


def _print_report(report: "IndexReport", findings: "Sequence[Finding]") -> None:
    from rich.table import Table

    table = Table("file", "passages", "remarks", box=None, pad_edge=False, header_style="bold")
    for file in report.files:
        remarks = "; ".join(filter(None, (file.problem, *file.warnings)))
        table.add_row(_line(file.path), "-" if file.problem else str(file.passages), _line(remarks))
    screen = console()
    screen.print(table)
    for finding in findings:
        place = ", ".join(filter(None, (finding.document, str(finding.locator))))
        screen.print(_line(f"{place}: {finding.text}."), style="yellow", markup=False)
    if report.verdict is not None and report.verdict.accepted:
        for sentence in report.verdict.findings:
            screen.print(_line(sentence), markup=False)
    if report.passed_over:
        counted = (f"{count} {suffix}" for suffix, count in sorted(report.passed_over.items()))
        screen.print(f"Passed over, because their formats aren't read: {', '.join(counted)}.", markup=False)
    screen.print(
        f"{report.passages} passages of {len(report.files)} files; {len(report.changed)} files changed, "
        f"{len(report.removed)} removed, {report.embedded} passages embedded in {report.seconds:.1f} s."
    )
    if not report.passages:
        screen.print("There is nothing to answer from: put documents into the knowledge folder.", style="yellow")


def _line(text: str) -> str:
    """Text of documents and file names, safe to print, on one line."""
    from bot.adapters.layout import safe

    return " ".join(safe(text).split())
