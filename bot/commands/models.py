"""Commands about models: listing, fetching and trying them, and training the reader."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.commands.common import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    printable,
    progress_bar,
    refresh_index,
    say,
    settings_of,
)
from bot.core.errors import SettingsError, TrainingError
from bot.core.settings import Settings

if TYPE_CHECKING:
    from bot.inference.inventory import Installed
    from bot.inference.recommend import Fit
    from bot.inference.workers import Models
    from bot.training.relevance_examples import Documentation, Group

app = typer.Typer(help="Show the models that are configured: where they lie, and what they take.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    if context.invoked_subcommand is not None:
        return
    from bot.inference.inventory import installed

    found = list(installed(settings_of(config)))
    if as_json:
        print_json([asdict(model) | {"folder": str(model.folder or "")} for model in found])
    else:
        _print_models(found)


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


@app.command("download")
def download_model(
    model: Annotated[str, typer.Argument(help="The model's id. Default: generator.model.")] = "",
    revision: Annotated[str, typer.Option(help="A commit or tag of the model's repository.")] = "",
    config: ConfigOption = None,
) -> None:
    """Fetch a model from the Hugging Face hub into the cache."""
    from bot.inference.weights import download

    settings = settings_of(config).generator
    fetched = download(model or settings.model, revision or ("" if model else settings.revision))
    say(f"{model or settings.model}: {fetched.folder}")


@app.command("recommend")
def recommend(as_json: JsonOption = False) -> None:
    """Say which language model of the Hugging Face hub suits this machine, by its memory and speed. Fetches nothing."""
    from bot.inference.recommend import fits, measure, recommended
    from bot.inference.weights import stay_offline

    stay_offline()
    found = fits(*measure())
    best = recommended(found)
    if as_json:
        print_json([asdict(one) | {"fits": one.fits, "recommended": one is best} for one in found])
        return
    _print_fits(found)
    if best is None:
        say("No language model fits this machine. The bot quotes the documents without one.")
    else:
        say(f"recommended: knowledge-bot models download {best.suggestion.model}")


def _print_fits(found: "Sequence[Fit]") -> None:
    from rich.table import Table

    table = Table("model", "licence", "memory", "tokens/s", "", box=None, pad_edge=False, header_style="bold")
    table.columns[0].no_wrap = True  # to be copied
    for one in found:
        problem = "" if one.fits else "too slow" if one.has_room else "too large"
        memory, speed = f"{one.memory / 1e9:.1f} GB", f"{one.tokens_a_second:.0f}"
        table.add_row(one.suggestion.model, one.suggestion.licence, memory, speed, problem)
    console().print(table)


@app.command("remove")
def remove_model(model: Annotated[str, typer.Argument(help="The model's id.")]) -> None:
    """Delete a model from the Hugging Face cache."""
    from bot.inference.inventory import remove

    say(f"{model}: removed, {remove(model) / 1e6:.0f} MB freed")


@app.command("prompts")
def print_prompts() -> None:
    """Print the file with the wording of prompts that ships, to begin an own one with (generator.prompts)."""
    from bot.inference.templates import SHIPPED

    say(SHIPPED.read_text(encoding="utf-8"), end="")


def generate(
    prompt: Annotated[str, typer.Argument(help="The text to go on with, as it stands; with --show-prompt a question.")],
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print the prompt that a question would give; no model is run.")
    ] = False,
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
    """Let a language model go on with a text, to get to know it. Nothing is searched, nothing is checked.

    With --show-prompt the documents are searched as for an answer, and the prompt is printed as the model would read it.
    """
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
    settings = _with_options(settings, chosen)
    if show_prompt:
        _show_prompts(settings, printable(prompt))
    else:
        asyncio.run(_write(settings, printable(prompt)))


def _with_options(settings: Settings, given: dict[str, Any]) -> Settings:
    """Return the settings with others for the generator, from the command line. Raises SettingsError."""
    from pydantic import ValidationError

    from bot.core.settings import GeneratorSettings

    try:
        generator = GeneratorSettings.model_validate(settings.generator.model_dump() | given)
    except ValidationError as error:
        options = (f"--{str(one['loc'][0]).replace('_', '-')}: {one['msg']}" for one in error.errors())
        raise SettingsError(list(options)) from error
    return settings.model_copy(update={"generator": generator})


def _show_prompts(settings: Settings, question: str) -> None:
    """Print the prompts of a question, and the number of their tokens to standard error."""
    from bot.runtime.application import open_application
    from bot.runtime.prompting import MadePrompt, PromptRecorder, prompts_for

    async def made() -> tuple[str, list[MadePrompt]]:
        recorder = PromptRecorder()
        async with open_application(settings, generator=recorder, golden=False) as application:
            await refresh_index(application)
            return await prompts_for(question, application, recorder)

    outcome, prompts = asyncio.run(made())
    about = "about " if settings.generator.provider == "openai" else ""
    for one in prompts:
        say(one.text)
        size = f"{about}{one.tokens} tokens of at most {one.most}"
        say(f"{size}, in the style {one.style}; up to {one.new} may follow", aside=True)
    if not prompts:
        why = f"the question is {outcome}, or its answer is code or a table, which is quoted"
        say(f"No model is asked: {why}.", aside=True)


async def _write(settings: Settings, prompt: str) -> None:
    """Print the text of the generator while it is written."""
    from contextlib import aclosing

    from bot.runtime.loading import open_generator

    generator = await open_generator(settings)
    try:
        async with aclosing(generator.stream(prompt)) as pieces:
            async for piece in pieces:
                say(piece, end="")
        say()
    finally:
        await generator.close()


def train_reader(
    data: Annotated[Path, typer.Option(help="The folder of training data.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option(help="Where the model and its checkpoints go.")],
    start: Annotated[
        list[Path] | None,
        typer.Option(
            help="A reader to begin with; of several, the mean of their weights.", exists=True, file_okay=False
        ),
    ] = None,
    sentence_examples: Annotated[int | None, typer.Option(min=0, help="How many examples the first phase has.")] = None,
    paragraph_examples: Annotated[
        int | None, typer.Option(min=0, help="How many examples the second phase has.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What the random choices start from.")] = None,
) -> None:
    """Train the model that marks the words that answer. Takes hours; the same command goes on after an interruption."""
    from bot.training.reader import ReaderTraining, train

    chosen: dict[str, Any] = {
        "start": tuple(map(str, start)) if start else None,
        "sentence_examples": sentence_examples,
        "paragraph_examples": paragraph_examples,
        "seed": seed,
    }
    plan = ReaderTraining(**{name: value for name, value in chosen.items() if value is not None})
    with progress_bar("Training on examples") as show:
        figures = train(data, output, plan, show)
    for name, measured in figures.items():
        say(f"{name}: " + ", ".join(f"{what} {value:g}" for what, value in measured.items()))


def train_relevance(
    data: Annotated[Path, typer.Option(help="The folder of training data.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option(help="Where the model and its checkpoints go.")],
    start: Annotated[
        Path | None,
        typer.Option(help="A reader to begin with. Default: the one that ships.", exists=True, file_okay=False),
    ] = None,
    held_out: Annotated[
        list[str] | None, typer.Option(help="A source to measure the model with, not to train on; may be repeated.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0, help="How many times each question is learnt.")] = None,
    seed: Annotated[int | None, typer.Option(help="What the random choices start from.")] = None,
) -> None:
    """Train the reader to judge how relevant a passage is. Takes hours; the same command goes on after an interruption."""
    import random

    from bot.inference.span_model import SHIPPED
    from bot.training.relevance import RelevanceTraining, train
    from bot.training.relevance_examples import Documentation, sampled, written

    chosen: dict[str, Any] = {"epochs": epochs, "seed": seed}
    given = {name: value for name, value in chosen.items() if value is not None}
    plan = RelevanceTraining(start=str(start or SHIPPED), **given)
    documentation = Documentation(data)
    aside = set(held_out or ())
    if unknown := aside.difference(documentation.sources):
        raise TrainingError(f"{data} has no source {', '.join(sorted(unknown))} to hold out.")
    (output / "groups").mkdir(parents=True, exist_ok=True)
    with progress_bar("Asking the sources") as show:
        groups = asyncio.run(_asked(documentation, output / "groups", show))
    chance = random.Random(plan.seed)  # noqa: S311 - reproducible on purpose
    learnt = sampled(
        {source: found for source, found in groups.items() if source not in aside}, data / "squad.jsonl", chance
    )
    measured = [group for source in sorted(aside) for group in written(groups[source])]
    with progress_bar("Training on questions") as show:
        figures = train(learnt, measured, output, plan, show)
    for name, figure in figures.items():
        say(f"{name}: " + ", ".join(f"{what} {value:g}" for what, value in figure.items()))


async def _asked(documentation: "Documentation", folder: Path, show: Callable[..., None]) -> "dict[str, list[Group]]":
    """Return the groups of each source, kept in a file of its own in `folder`, from which they are read the next time."""
    from tempfile import TemporaryDirectory

    from bot.runtime.application import open_application
    from bot.runtime.loading import load_models
    from bot.training.relevance_examples import ask, load_groups, save_groups

    settings = Settings()
    loaded: Models | None = None
    groups: dict[str, list[Group]] = {}
    for number, source in enumerate(documentation.sources):
        show(number, len(documentation.sources), source)
        file = folder / f"{source.replace('/', '+')}.jsonl"
        if not file.exists():
            loaded = loaded or await asyncio.to_thread(load_models, settings)
            documents, asked = documentation.documents(source)
            with TemporaryDirectory() as storage:
                own = settings.model_copy(
                    update={"storage": settings.storage.model_copy(update={"folder": Path(storage)})}
                )
                async with open_application(own, loaded, golden=False) as application:
                    await application.indexer.index_documents(documents)
                    save_groups(file, await ask(application.answering.retriever, source, asked, lambda _asked: None))
        groups[source] = load_groups(file)
    show(len(groups), len(groups), "")
    return groups
