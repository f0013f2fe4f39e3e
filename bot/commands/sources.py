"""Commands about the sources beyond the knowledge folder: how they are, and fetching one now."""

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import ConfigOption, JsonOption, print_json, say, settings_of
from bot.core.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sources.fetching import Fetched, Fetcher

app = typer.Typer(
    invoke_without_command=True,
    help="Show the websites, repositories, channels and exports that documents are fetched from, or fetch one now.",
)
# Of more changes than this, the first are named and the others counted.
_MOST_NAMED = 20


@app.callback()
def sources(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    if context.invoked_subcommand is not None:
        return
    from bot.sources.fetching import Fetcher, describe_status, seconds_until_due

    settings = settings_of(config)
    fetchers = [Fetcher(source, settings) for source in settings.sources]
    known = [(fetcher.source, asyncio.run(fetcher.status())) for fetcher in fetchers]
    now = time.time()
    if as_json:
        print_json(
            [
                {"name": source.name, "kind": source.kind, "url": source.shown_url, **asdict(status)}
                | {"due_in_seconds": max(0, round(seconds_until_due(source, status, now)))}
                for source, status in known
            ]
        )
        return
    for source, status in known:
        say(f"{source.name} ({source.kind}, {source.shown_url}): {describe_status(status, now)}")
        for note in status.notes:
            say(f"  {note}")
    if not known:
        say("There are no sources: [[sources]] in the settings names websites, git repositories, channels and exports.")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="The name of the source.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Fetch a source now, and show the changes. A running bot answers from it at once."""
    from bot.sources.fetching import Fetcher

    settings = settings_of(config)
    fetchers = {source.name: Fetcher(source, settings) for source in settings.sources}
    if name not in fetchers:
        raise typer.BadParameter(f"{name}: there is no such source; there are {', '.join(fetchers) or 'none'}")
    fetched = asyncio.run(_fetch(fetchers[name]))
    if as_json:
        print_json(asdict(fetched))
        return
    for what, paths in asdict(fetched.changes).items():
        _say_paths(what, paths)
    for note in (*fetched.notes, *filter(None, [fetched.problem])):
        say(note)
    say(f"{name}: {counted(fetched.documents, 'document')}; {fetched.changes}.")


async def _fetch(fetcher: "Fetcher") -> "Fetched":
    say(f"Fetching {fetcher.source.shown_url} ...", aside=True)
    return await fetcher.fetch()


def _say_paths(what: str, paths: "Sequence[str]") -> None:
    for path in paths[:_MOST_NAMED]:
        say(f"{what}: {path}")
    if len(paths) > _MOST_NAMED:
        say(f"{what}: and {len(paths) - _MOST_NAMED} more")
