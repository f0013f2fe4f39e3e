"""Supervision: services that fail are started again, one by one, and the journal and the models, which can fail
silently, are checked all the time.

Each finding goes into the health of its component and ends none of the others.
"""

import asyncio
import math
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from bot.core.errors import BotError, StorageError
from bot.core.messages import Connecting, Service
from bot.inference.workers import InferenceWorker
from bot.observability import metrics
from bot.observability.health import Component, Health
from bot.storage.base import Journal

_log = structlog.stdlib.get_logger(__name__)

# Seconds before a failed service is started again; the last one is repeated.
_RESTART_PAUSES = (1.0, 5.0, 15.0, 60.0)
# A service that ran for so long has recovered: its next failure is a first one.
_RECOVERED = 300.0  # seconds
_BETWEEN_LOOKS = 1.0  # seconds
_BETWEEN_PROBES = 5.0  # seconds between two writes that try whether the journal can be written
_LITTLE_SPACE = 200 * 2**20  # bytes
# So many threads in a row are given up; then something is wrong that another thread doesn't cure.
_MOST_REPLACEMENTS = 3


async def run_all(
    adapters: Sequence[Service], states: dict[str, str], health: Health, others: Sequence[Service] = ()
) -> None:
    """Run the adapters side by side until each has ended, and other services beside them.

    `states` is kept up to date with the state of each service, in a few words. Raises a BotError if every adapter has ended
    with one.
    """
    answering = [asyncio.create_task(_keep_running(adapter, states, health)) for adapter in adapters]
    beside = [asyncio.create_task(_keep_running(service, states, health)) for service in others]
    try:
        errors = await asyncio.gather(*answering)
    finally:
        for task in (*answering, *beside):
            if not task.cancelling():  # a second time would break off what a service does at its end
                task.cancel()
        await asyncio.gather(*answering, *beside, return_exceptions=True)
    if errors and all(errors):
        raise next(filter(None, errors))


async def _keep_running(service: Service, states: dict[str, str], health: Health) -> BotError | None:
    """Run one service, start it again when it fails, and never let its failure touch the others.

    Returns the error that has stopped it for good, or None where it had no more to give.
    """
    component = health.component(service.name)
    pauses = iter(_RESTART_PAUSES)
    while True:
        started = time.monotonic()
        states[service.name] = "running"
        looking = asyncio.create_task(_look_at_connection(service, component))
        try:
            await service.run()
        except BotError as error:  # what starting again can't cure
            states[service.name] = f"stopped: {error}"
            component.failed(str(error))
            _log.error("adapter stopped for good", adapter=service.name)  # the component's line says why
            return error
        except Exception as error:
            if time.monotonic() - started > _RECOVERED:
                pauses = iter(_RESTART_PAUSES)
            pause = next(pauses, _RESTART_PAUSES[-1])
            states[service.name] = "restarting after a failure"
            component.down(f"failed ({type(error).__name__}), to be started again in {pause:g} seconds")
            metrics.RESTARTS.labels(service.name).inc()
            _log.exception("adapter failed", adapter=service.name, restart_seconds=pause)
        else:
            states[service.name] = "stopped"
            return None
        finally:
            looking.cancel()
        await asyncio.sleep(pause)


async def _look_at_connection(service: Service, component: Component) -> None:
    """Report whether the service is connected. A service that isn't `Connecting` counts as connected."""
    was_connected = False
    while isinstance(service, Connecting):
        trouble = service.trouble
        if trouble is None:
            component.ready()
        elif was_connected:
            component.down(trouble)
        else:
            component.starting(trouble)
        was_connected = was_connected or trouble is None
        await asyncio.sleep(_BETWEEN_LOOKS)
    component.ready()


async def look_at_journal(journal: Journal, folder: Path, component: Component) -> None:
    """Try every few seconds whether the journal can be written, and report it: without it no question can be accepted.

    Where its files were deleted they are written again, and the remains of erased texts are removed.
    """
    put_back = -math.inf
    while True:
        try:
            if await journal.put_back():
                put_back = time.monotonic()
                _log.error("the journal was deleted while the bot runs, and written again", folder=str(folder))
            await journal.platforms.set_note("journal", "written", str(time.time()))
            await journal.erasure.scrub()
            free = await asyncio.to_thread(shutil.disk_usage, folder)
        except (StorageError, OSError) as error:
            component.down(str(error))
        else:
            if time.monotonic() - put_back < _RECOVERED:
                component.degraded(
                    f"the journal's files in {folder} were deleted while the bot runs; they were written again, and nothing is "
                    "lost. Find out who deletes them"
                )
            elif free.free < _LITTLE_SPACE:
                component.degraded(f"{free.free // 2**20} MB are free on the disk of {folder}: free some space")
            else:
                component.ready()
        await asyncio.sleep(_BETWEEN_PROBES)


async def look_at_models(worker: InferenceWorker[Any], component: Component, stuck_seconds: float) -> None:
    """Give up model calls that don't return within `stuck_seconds`, let another thread take over, and report it."""
    replaced: list[float] = []
    while True:
        await asyncio.sleep(_BETWEEN_LOOKS)
        now = time.monotonic()
        if replaced and now - replaced[-1] > _RECOVERED:
            replaced.clear()
            component.ready()
        if len(replaced) < _MOST_REPLACEMENTS and worker.replace_if_stuck(stuck_seconds):
            replaced.append(now)
            metrics.RESTARTS.labels("models").inc()
            _log.error("a model call doesn't return", seconds=stuck_seconds, replaced=len(replaced))
            what = f"a model call did not return within {stuck_seconds:g} seconds"
            if len(replaced) < _MOST_REPLACEMENTS:
                component.degraded(f"{what}; another thread has taken over")
            else:
                component.failed(f"{what}, for the {len(replaced)}rd time: restart the bot, and look at the machine")


async def start_again(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run work that should never end, and run it again whenever it fails, until cancelled."""
    while True:
        try:
            await work()
            return
        except Exception:
            metrics.RESTARTS.labels(name).inc()
            _log.exception("failed, to be started again", component=name, restart_seconds=_RESTART_PAUSES[-1])
        await asyncio.sleep(_RESTART_PAUSES[-1])


async def until_stopped(stop: asyncio.Event, *works: Awaitable[object]) -> None:
    """Wait until one of the works ends or `stop` is set, and cancel the others. Raises the error of a work."""
    working = [asyncio.ensure_future(work) for work in works]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((*working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, *working):
            task.cancel()
        ended = await asyncio.gather(*working, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
