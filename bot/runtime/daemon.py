"""The daemon: serves the adapters until it is stopped. Wiring, signals and drain.

Nesting is the shutdown order: the part that is opened last is closed first.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from bot.core.messages import Adapter, Closing, Outcome, Service
from bot.core.settings import Settings
from bot.observability.health import Health, Report, State
from bot.observability.loop_lag import LoopLagProbe
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime import systemd
from bot.runtime.application import Application, administration_of, open_application
from bot.runtime.maintenance import keep_erasing, keep_fetching, keep_grouping
from bot.runtime.readiness import Readiness
from bot.runtime.supervision import look_at_journal, run_all, start_again, until_stopped
from bot.sources.fetching import Fetcher
from bot.storage.data_folder import alone_in, inspect

_log = structlog.stdlib.get_logger(__name__)
# Seconds allowed for closing the remaining parts after the grace period.
_CLOSING = 20.0

MakeServices = Callable[[Application, Dispatcher, Administration], Sequence[Service]]
"""The adapters, and the services beside them."""


async def serve(
    settings: Settings,
    make_services: MakeServices,
    refresh: Callable[[Application], Awaitable[object]],
    *,
    at_terminal: bool = False,
    fresh: bool = False,
    set_damaged_aside: bool = False,
) -> None:
    """Answer until a signal says stop, or until every adapter has no more to give. Raises the BotError of the last one if
    all were stopped by an error that starting again can't cure.

    Questions are taken in at once, and wait until the models are loaded and `refresh` has made the index. An existing index
    answers at once, and is brought up to date meanwhile, unless it has to be `fresh` or nobody watches the folder.
    SIGTERM and SIGINT stop accepting, give running answers their grace and return; a second one ends the process at once.
    `at_terminal`: one person asks, without limits, and of the answers only declines are kept once they are shown.
    `set_damaged_aside`: a database that is damaged is renamed, and a new one made; otherwise StorageError is raised.
    """
    stop = asyncio.Event()
    with alone_in(settings.storage.folder), _signals_set(stop):
        await asyncio.to_thread(inspect, settings.storage.folder, set_damaged_aside=set_damaged_aside)
        health = Health(_log_change)
        async with (
            open_application(settings, health=health, background=not at_terminal) as application,
            LoopLagProbe() as lag,
        ):
            readiness = Readiness(application, refresh, lag, fresh=fresh)
            if at_terminal:  # who sits there sees how far it is, and asks when it is done
                await until_stopped(stop, readiness.reach())
            if not stop.is_set():
                await _serve(application, make_services, readiness, stop, at_terminal=at_terminal)
                _log.info("stopped", loop_lag_p99_ms=round(lag.percentile(0.99), 1))


async def _serve(
    application: Application,
    make_services: MakeServices,
    readiness: Readiness,
    stop: asyncio.Event,
    *,
    at_terminal: bool,
) -> None:
    settings = application.settings
    dispatcher = Dispatcher(
        application.answering.engine,
        application.stores.journal,
        settings.queue,
        limits=None if at_terminal else settings.limits,
        keep=_kept(settings, at_terminal),
        ready=readiness.reached,
    )
    administration = administration_of(application, dispatcher)
    services = make_services(application, dispatcher, administration)
    adapters = [service for service in services if isinstance(service, Adapter)]
    # HTTP runs beside the platforms: it doesn't keep a bot going whose platforms have all ended, nor end one where they go on.
    leading = [adapter for adapter in adapters if adapter.name in settings.platforms] or adapters
    others = [service for service in services if service not in leading]
    dispatcher.register(adapters)
    background = _background_work(application, administration)
    beside = [asyncio.create_task(start_again(name, work)) for name, work in background.items()]
    resumed = await dispatcher.resume()
    _log.info("started", adapters=[adapter.name for adapter in adapters], resumed=resumed)
    systemd.ready()
    try:
        running = run_all(leading, administration.platforms, application.health, others)
        await until_stopped(stop, running, readiness.keep())
    finally:
        systemd.stopping(settings.shutdown.grace_seconds + _CLOSING)
        await dispatcher.close(settings.shutdown.grace_seconds)
        for service in services:
            if isinstance(service, Closing):
                await service.close()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        _log.info("drained", **dispatcher.counts)


def _background_work(
    application: Application, administration: Administration
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the tasks that run from the start to the end, by name."""
    component, folder = application.health.component("journal"), application.settings.storage.folder
    fetching = {
        (name := f"source {source.name}"): partial(
            keep_fetching,
            Fetcher(source, application.settings),
            application.health.component(name, essential=False),
        )
        for source in application.settings.sources
    }
    return fetching | {
        "erasing": partial(keep_erasing, application),
        "grouping": partial(keep_grouping, administration),
        "journal": partial(look_at_journal, application.stores.journal, folder, component),
        "watchdog": systemd.show_life,
    }


def _kept(settings: Settings, at_terminal: bool) -> frozenset[Outcome]:
    """Return the outcomes whose answers are kept. At the terminal no buttons need them, but the list of gaps needs declines."""
    if not settings.storage.answer_days:
        return frozenset()
    return frozenset({Outcome.DECLINED}) if at_terminal else frozenset(Outcome)


def _log_change(report: Report) -> None:
    """Log a line when a component enters another state."""
    log = _log.info if report.state in (State.STARTING, State.READY) else _log.warning
    log("component", component=report.name, state=report.state.value, detail=report.detail)
    systemd.status(f"{report.name}: {report.state}" + (f" ({report.detail})" if report.detail else ""))


@contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """While this holds, the first SIGTERM or SIGINT sets `stop`, and a second one ends the process."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
