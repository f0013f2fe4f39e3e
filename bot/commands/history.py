"""The history of questions: as text in 80 columns, as JSON, or as CSV for spreadsheets."""

import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import ConfigOption, JsonOption, complain, console, print_json, say, settings_of
from bot.core.messages import Outcome

if TYPE_CHECKING:
    from bot.core.settings import Settings
    from bot.storage.base import HistoryFilter, KeptQuestion

_A_READ = 500  # questions
_SHOWN = 150  # characters of an answer: two lines of a narrow terminal
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def questions(
    since: Annotated[
        datetime | None, typer.Option(help="From this day on.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"])
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="With this outcome only.")] = None,
    place: Annotated[str, typer.Option(help="Of a platform (discord), or of one chat there (discord/1234).")] = "",
    wrong: Annotated[bool, typer.Option("--wrong", help="Only answers that somebody found not helpful.")] = False,
    count: Annotated[int, typer.Option("-k", min=1, help="How many, the latest first.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets instead of text.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show questions and their answers, as long as they are kept."""
    from bot.storage.base import HistoryFilter, Rating

    platform, _, chat = place.partition("/")
    moment = since.astimezone().timestamp() if since else None
    only = HistoryFilter(moment, outcome, platform, chat, Rating.WRONG if wrong else None)
    settings = settings_of(config)
    found = asyncio.run(_read(settings, only, count))
    if not settings.storage.answer_days:
        complain("Nothing is kept: storage.answer_days is 0. Raise it to see here what is asked.")
    if as_json:
        print_json([asked.to_json() for asked in found])
    elif as_csv:
        say(_as_csv(found), end="")
    else:
        _print(found)


async def _read(settings: "Settings", only: "HistoryFilter", count: int) -> "list[KeptQuestion]":
    from bot.storage.base import Cursor
    from bot.storage.stores import open_journal

    found: list[KeptQuestion] = []
    async with open_journal(settings.storage.folder) as journal:
        while len(found) < count:
            after = Cursor(found[-1].at, found[-1].id) if found else None
            more = await journal.history.page(only, min(_A_READ, count - len(found)), after)
            if not more:
                break
            found += more
    return found


def _as_csv(found: "Sequence[KeptQuestion]") -> str:
    rows = [asked.to_json() for asked in found]
    # Those of the JSON form.
    names = "id at platform chat outcome confidence question answer sources reference helpful wrong".split()
    written = io.StringIO()
    table = csv.DictWriter(written, names, lineterminator="\n")
    table.writeheader()
    for row in rows:
        row["sources"] = "\n".join(row["sources"])
        table.writerow({name: _cell(value) for name, value in row.items()})
    return written.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _print(found: "Sequence[KeptQuestion]") -> None:
    from rich.text import Text

    from bot.core.markup import beginning
    from bot.core.text import safe

    screen = console()
    for asked in found:
        answer, address = asked.answer, asked.question.address
        moment = datetime.fromtimestamp(asked.at).astimezone().strftime("%Y-%m-%d %H:%M")
        outcome = f"{answer.outcome.replace('_', ' ')} {answer.confidence:.2f}" if answer else "waiting"
        ratings = [
            f"{number} {name}" for number, name in ((asked.helpful, "helpful"), (asked.wrong, "wrong")) if number
        ]
        said = "  ".join([moment, f"{address.platform}/{safe(address.chat)}", outcome, *ratings])
        screen.print(Text(said, style="dim"), soft_wrap=True)
        screen.print_indented(Text(safe(asked.question.text), style="bold"))
        if answer:
            screen.print_indented(Text(safe(beginning(answer.pieces, _SHOWN))))
            for source in asked.to_json()["sources"]:
                screen.print(Text(f"  {safe(source)}", style="cyan"), soft_wrap=True)  # a path that can be copied
    if not found:
        screen.print("No question is kept that is like that.")
