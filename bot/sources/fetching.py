"""Fetching a source: its files, its status, and again and again while the bot runs."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bot.core import clock
from bot.core.errors import SourceError, StorageError
from bot.core.settings import Settings, SourceSettings
from bot.core.text import counted
from bot.knowledge.converter import Converter, Limits
from bot.sources.discord import fetch_discord
from bot.sources.export import EXPORTS, fetch_export, state_of
from bot.sources.repository import fetch_repository
from bot.sources.store import Changes, SourceStatus, SourceStore
from bot.sources.website import fetch_website

_log = structlog.stdlib.get_logger(__name__)
# Seconds after which a source that has failed is tried again, if its interval is longer.
_RETRY = 900.0
# The most seconds between two looks at whether it is time: the clock may be set, and others may fetch too.
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a fetch: the paths of changed files, notes on content that was left out, the number of documents, and why
    parts of the source were not read; empty if all were."""

    changes: Changes
    notes: tuple[str, ...]
    documents: int
    problem: str = ""


class Fetcher:
    """Fetches one source."""

    def __init__(self, source: SourceSettings, settings: Settings) -> None:
        self.source = source
        self._store = SourceStore(settings.storage.folder, source.name)
        chosen = settings.knowledge
        self._token = settings.discord.token.get_secret_value()
        self._limits = Limits(chosen.convert_seconds, chosen.convert_megabytes * 2**20)

    async def status(self) -> SourceStatus:
        """Return the status of the last fetch."""
        return await asyncio.to_thread(self._store.status)

    async def fetch(self) -> Fetched:
        """Fetch the source now. Raises BotError, and leaves the files of the last fetch as they were.

        Only what comes from another Discord server than that of the settings goes in any case: it isn't for this one.
        """
        with self._store.exclusive():
            before = await self.status()
            tried = replace(
                before, tried=clock.now(), settings=await asyncio.to_thread(settings_fingerprint, self.source)
            )
            try:
                if await asyncio.to_thread(self._drop_what_is_of_another_server):
                    tried = replace(tried, fetched=0.0, documents=0, notes=())
                fetched = await self._fetch()
            except (SourceError, OSError) as error:
                problem = str(error)
                if isinstance(error, OSError):
                    problem = f"it can't be written ({error.strerror or error}); check the disk"
                await asyncio.to_thread(self._store.save, replace(tried, problem=problem))
                raise SourceError(f"{self.source.name}: {problem}") from error
            done = replace(tried, fetched=tried.tried, documents=fetched.documents, notes=fetched.notes)
            await asyncio.to_thread(self._store.save, replace(done, problem=fetched.problem))
            return fetched

    def _drop_what_is_of_another_server(self) -> bool:
        """Take out the posts of another Discord server than that of the settings, and return whether there were any."""
        before = self._store.manifest().get("server")
        if not before or (self.source.kind == "discord" and before == self.source.server):
            return False
        self._store.clear()
        return True

    async def _fetch(self) -> Fetched:
        draft = await asyncio.to_thread(self._store.draft, self.source.megabytes * 2**20)
        before = await asyncio.to_thread(self._store.manifest)
        problem = ""
        if self.source.kind == "git":
            manifest, notes = await fetch_repository(self.source, draft, before, self._store)
        elif self.source.kind == "discord":
            manifest, notes, problem = await fetch_discord(self.source, self._token, draft, before)
        elif self.source.kind in EXPORTS:
            manifest, notes = await fetch_export(self.source, draft, self._limits)
        else:
            with Converter(self._limits) as converter:  # ends the work in a thread if this is cancelled
                manifest, notes = await fetch_website(self.source, draft, before, converter)
        changes = await asyncio.to_thread(draft.commit, manifest)
        return Fetched(changes, tuple(notes), len(draft.addresses), problem)

    async def keep_fetching(self, report: Callable[[SourceStatus], None]) -> None:
        """Fetch the source whenever it is time, until cancelled. `report` gets the status after each look."""
        while True:
            status = await self.status()
            report(status)
            wait = await asyncio.to_thread(seconds_until_due, self.source, status, clock.now())
            if wait > 0:
                await asyncio.sleep(min(wait, _LONGEST_PAUSE))
                continue
            try:
                fetched = await self.fetch()
            except SourceError as error:
                _log.warning("source not fetched", source=self.source.name, reason=str(error))
            except StorageError as error:  # another process may be at it
                _log.info("source not fetched", source=self.source.name, reason=str(error))
                await asyncio.sleep(_LONGEST_PAUSE)
            else:
                log = _log.warning if fetched.problem else _log.info if fetched.changes else _log.debug
                told = {"changes": str(fetched.changes), "notes": fetched.notes, "problem": fetched.problem}
                log("source fetched", source=self.source.name, **told)


def seconds_until_due(source: SourceSettings, status: SourceStatus, now: float) -> float:
    """Return the seconds until the next fetch; at most 0 if it is due, or settings or export changed. Blocking."""
    if status.settings != settings_fingerprint(source) or status.tried > now:
        return 0.0
    failed = bool(status.problem) and status.fetched < status.tried
    interval = min(source.interval_seconds, _RETRY) if failed else source.interval_seconds
    return status.tried + interval - now


def describe_status(status: SourceStatus, now: float) -> str:
    """Return the status of a source as a sentence without a full stop."""
    if not status.fetched:
        return f"never fetched: {status.problem}" if status.problem else "not fetched yet"
    fetched = f"{counted(status.documents, 'document')}, fetched {_ago(now - status.fetched)} ago"
    if not status.problem:
        return fetched
    kept = "What was fetched before is kept: " if status.fetched < status.tried else ""
    return f"{status.problem}. {kept}{fetched}"


def _ago(seconds: float) -> str:
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return counted(max(0, int(seconds)), "second")


def settings_fingerprint(source: SourceSettings) -> str:
    """Return a text that changes with the settings of a source and with the files of an export."""
    described = f"{source.model_dump_json(exclude={'interval_seconds', 'scope'})}{state_of(source)}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]
