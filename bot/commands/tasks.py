"""Tasks from the command line: summaries, translations, labels and names of a text, a file or a document."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import ConfigOption, JsonOption, console, print_json, printable, settings_of, with_application
from bot.core.errors import BotError, DocumentError

if TYPE_CHECKING:
    from bot.core.settings import Settings
    from bot.runtime.application import Application
    from bot.tasks.sources import Source

# Questions of a chat that are looked at: the latest show the mood now.
_MOST_QUESTIONS = 200
_LONGEST_PATH = 255


def task(
    name: Annotated[str, typer.Argument(help="summarise, translate, sentiment, classify or entities.")],
    text: Annotated[str, typer.Argument(help="A text, a file, or - for standard input.")] = "",
    document: Annotated[str, typer.Option(help="Instead: the path of a document in the index.")] = "",
    section: Annotated[str, typer.Option(help="Only the section with this heading, of a document or a file.")] = "",
    questions: Annotated[
        str,
        typer.Option(help="Instead: the latest questions of a platform, or of PLATFORM:CHAT, all counted together."),
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Summarise, translate or label a text, or find the names in it. Nothing of it is kept."""
    from bot.tasks.registry import task_named

    settings = settings_of(config)
    task_named(name).model(settings.tasks)  # a missing one is said before anything is loaded
    if [bool(text), bool(document), bool(questions)].count(True) != 1:
        raise BotError("Give one thing to work on: a text, a file or -, or else --document or --questions.")
    given = None if document or questions else _given(printable(text), section, settings)

    async def work(application: "Application") -> None:
        from bot.core.messages import Address
        from bot.tasks.runner import Owner

        tasks, owner = application.tasks, Owner("command", "")
        here = Address("command", "command", "")
        if questions:
            result = await tasks.survey(name, await _asked(application, questions), owner)
        else:
            result = await tasks.run(name, given or await tasks.document(document, section, here), owner)
        if as_json:
            print_json(result.to_json())
        else:
            console().print(result.text, soft_wrap=True)

    with_application(settings, work, fresh=bool(document))


def _given(text: str, section: str, settings: "Settings") -> "Source":
    """Return the text of an argument, of the file that it names, or of standard input. Raises DocumentError."""
    from bot.knowledge.converter import Converter, Limits
    from bot.tasks.sources import source_of_document, source_of_text

    if text == "-":
        return source_of_text(sys.stdin.read())
    file = Path(text)
    if len(text) > _LONGEST_PATH or not file.is_file():
        if section:
            raise DocumentError(f"{text[:80]}: there is no such file, and only files have sections")
        return source_of_text(text)
    limits = settings.knowledge
    if file.stat().st_size > limits.largest_megabytes * 2**20:
        raise DocumentError(f"{file}: larger than {limits.largest_megabytes} MB (knowledge.largest_megabytes)")
    with Converter(Limits(limits.convert_seconds, limits.convert_megabytes * 2**20)) as converter:
        try:
            return source_of_document(converter.read(file.name, file.read_bytes()), section)
        except DocumentError as error:
            raise DocumentError(f"{file}: {error}") from error


async def _asked(application: "Application", place: str) -> Sequence[str]:
    """Return the latest questions of a platform, or of one of its chats, as far as they are kept."""
    platform, _, chat = place.partition(":")
    kept = await application.stores.journal.answers.latest(platform, chat, _MOST_QUESTIONS)
    return [question.text for question in kept]
