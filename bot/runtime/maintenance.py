"""Regular work beside the answering: erasing expired data, encoding the questions to be grouped, and fetching the sources."""

import asyncio

import structlog

from bot.core import clock
from bot.core.errors import BotError, StorageError
from bot.observability.health import Component
from bot.questions.administration import Administration
from bot.runtime.application import Application
from bot.sources.fetching import Fetcher, describe_status
from bot.sources.store import SourceStatus

_log = structlog.stdlib.get_logger(__name__)
_BETWEEN_ERASURES = 3600.0  # seconds
_BETWEEN_GROUPINGS = 600.0  # seconds
_DAY = 86_400.0  # seconds
# A platform that sends an old message again does so within hours.
_KEYS_KEPT = 30 * _DAY


async def keep_erasing(application: Application) -> None:
    """Erase expired data, at once and then every hour, until cancelled."""
    while True:
        try:
            await _erase_expired(application)
        except StorageError as error:
            _log.error("not erased, to be tried again", error=str(error), retry_seconds=_BETWEEN_ERASURES)
        await asyncio.sleep(_BETWEEN_ERASURES)


async def _erase_expired(application: Application) -> None:
    stores = application.stores
    await application.answering.conversations.forget_expired()
    now, kept = clock.now(), application.settings.storage.answer_days * _DAY
    await stores.journal.erasure.erase_before(now - kept, keys_before=now - kept - _KEYS_KEPT)
    await stores.journal.erasure.scrub(rewrite=True)
    for store in (stores.journal.erasure, stores.knowledge):
        while await store.reclaim():
            pass  # questions go between


async def keep_grouping(administration: Administration) -> None:
    """Group questions, at once and then every ten minutes, until cancelled.

    The groups aren't kept, but the vectors that they need are, so that an operator who asks for them doesn't wait.
    """
    while True:
        try:
            await administration.gaps()
            await administration.unsure()
        except BotError as error:
            _log.warning("not grouped, to be tried again", error=str(error), retry_seconds=_BETWEEN_GROUPINGS)
        await asyncio.sleep(_BETWEEN_GROUPINGS)


async def keep_fetching(fetcher: Fetcher, component: Component) -> None:
    """Fetch a source whenever it is time, until cancelled, and report how it is."""

    def report(status: SourceStatus) -> None:
        if not status.problem:
            component.ready(describe_status(status, clock.now()))
        elif status.fetched:
            component.degraded(describe_status(status, clock.now()))
        else:
            component.down(describe_status(status, clock.now()))

    await fetcher.keep_fetching(report)
