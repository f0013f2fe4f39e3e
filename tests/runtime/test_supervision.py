"""Supervision: one platform's trouble is its own."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from bot.core.errors import BotError, DeadlineExceeded, SettingsError
from bot.inference.workers import InferenceWorker, ModelCall
from bot.observability.health import Health, State
from bot.runtime import supervision
from bot.storage.sqlite.journal import SqliteJournal


class Platform:
    """An adapter that goes through these ends, one a start, then runs until it is cancelled."""

    def __init__(self, name: str, *ends: Exception | None) -> None:
        self.name = name
        self._ends = list(ends)
        self.starts = 0
        self.recovered = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        if self._ends:
            end = self._ends.pop(0)
            if end is not None:
                raise end
            return
        self.recovered.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch):
    monkeypatch.setattr(supervision, "_RESTART_PAUSES", (0.0, 0.01))


@pytest.fixture(autouse=True)
def log():
    """The lines of the log, without drawing their tracebacks."""
    with capture_logs() as lines:
        yield lines


async def test_a_failed_adapter_is_started_again_and_the_others_go_on():
    """As often as it takes."""
    failing = Platform("failing", *[ConnectionError()] * 5)
    healthy = Platform("healthy")
    states: dict[str, str] = {}
    running = asyncio.create_task(supervision.run_all([failing, healthy], states, Health()))
    await failing.recovered.wait()
    assert (failing.starts, healthy.starts) == (6, 1)
    assert states == {"failing": "running", "healthy": "running"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_no_restart_cures_stops_this_adapter_alone():
    """A bad token, say; the state says why."""
    bad = Platform("bad", SettingsError(["discord.token: refused"]))
    good = Platform("good")
    states: dict[str, str] = {}
    running = asyncio.create_task(supervision.run_all([bad, good], states, Health()))
    await good.recovered.wait()
    await asyncio.sleep(0)
    assert states == {"bad": "stopped: discord.token: refused", "good": "running"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_runs_beside_neither_ends_the_adapters_nor_keeps_them_going():
    """A port that is taken is the trouble of HTTP alone, and a bot whose platforms have ended doesn't go on for HTTP."""
    good, beside = Platform("good"), Platform("http", SettingsError(["http.port: taken"]))
    health = Health()
    running = asyncio.create_task(supervision.run_all([good], {}, health, [beside]))
    await good.recovered.wait()
    async with asyncio.timeout(5):
        while health.report("http").state is not State.FAILED:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(5):
        await supervision.run_all([Platform("pipe", None)], {}, Health(), [Platform("http")])


async def test_a_bot_whose_every_adapter_was_stopped_ends_with_the_error():
    """A service manager sees a failure, and the message is printed once more."""
    with pytest.raises(BotError, match="refused"):
        await supervision.run_all([Platform("a", SettingsError(["refused"]))], {}, Health())


async def test_an_adapter_that_has_no_more_to_give_is_no_failure():
    """The end of a pipe."""
    await supervision.run_all([Platform("pipe", None), Platform("bad", BotError("x"))], {}, Health())


# --- health -----------------------------------------------------------------------------------------------------------


class Leaving(Platform):
    """An adapter that says goodbye at its end, which takes a moment."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.has_left = False

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await asyncio.sleep(0.02)
            self.has_left = True


async def test_an_adapter_takes_its_leave_although_another_one_has_ended_sooner():
    """Broken off, a connection would stay open, and the bot would seem to be there."""
    quick, slow = Platform("quick"), Leaving("slow")
    running = asyncio.create_task(supervision.run_all([quick, slow], {}, Health()))
    await asyncio.gather(quick.recovered.wait(), slow.recovered.wait())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert slow.has_left


class Line(Platform):
    """An adapter with a connection."""

    trouble: str | None = "not reached yet"


async def until(holds) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.005)


async def test_a_process_that_runs_is_not_a_platform_that_is_connected(monkeypatch):
    """Starting, ready, down, and ready again, as the connection comes and goes."""
    monkeypatch.setattr(supervision, "_BETWEEN_LOOKS", 0.005)
    line, plain = Line("line"), Platform("plain")
    health = Health()
    running = asyncio.create_task(supervision.run_all([line, plain], {}, health))
    await until(lambda: health.component("plain").report.state is State.READY)
    assert health.report("line").state is State.STARTING
    assert not health.ready
    line.trouble = None
    await until(lambda: health.ready)
    line.trouble = "the connection broke"
    await until(lambda: health.report("line").state is State.DOWN)
    assert health.report("line").detail == "the connection broke"
    line.trouble = None
    await until(lambda: health.ready)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_failure_and_a_refused_token_are_in_the_health(monkeypatch):
    """With how to mend it, or when it is tried again."""
    monkeypatch.setattr(supervision, "_RESTART_PAUSES", (60.0,))
    health = Health()
    bad, failing = Platform("bad", SettingsError(["discord.token: refused"])), Platform("failing", ConnectionError())
    running = asyncio.create_task(supervision.run_all([bad, failing, Platform("good")], {}, health))
    await until(lambda: health.component("failing").report.state is State.DOWN)
    assert "again in 60 seconds" in health.report("failing").detail
    assert health.report("bad").state is State.FAILED
    assert health.report("bad").detail == "discord.token: refused"
    assert health.report("good").state is State.READY
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_journal_that_can_t_be_written_is_in_the_health_until_it_can(tmp_path, monkeypatch):
    """Tried by writing, all the time: with a database that is really full."""
    monkeypatch.setattr(supervision, "_BETWEEN_PROBES", 0.01)
    journal = await SqliteJournal.open(tmp_path)
    component = Health().component("journal")
    looking = asyncio.create_task(supervision.look_at_journal(journal, tmp_path, component))
    await until(lambda: component.report.state.serves)

    note = journal.platforms.set_note
    monkeypatch.setattr(journal.platforms, "set_note", lambda *_: note("test", "much", "x" * 100_000))
    await journal.platforms._connection.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
    await until(lambda: component.report.state is State.DOWN)
    assert "free some space" in component.report.detail
    await journal.platforms._connection.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    await until(lambda: component.report.state.serves)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await journal.close()


async def test_a_journal_that_is_deleted_is_in_the_health_within_a_moment_and_written_again(tmp_path, monkeypatch):
    """With all that it held; the health says so for a while, for it may be deleted again."""
    monkeypatch.setattr(supervision, "_BETWEEN_PROBES", 0.01)
    monkeypatch.setattr(supervision, "_RECOVERED", 0.3)
    journal = await SqliteJournal.open(tmp_path)
    component = Health().component("journal")
    looking = asyncio.create_task(supervision.look_at_journal(journal, tmp_path, component))
    await until(lambda: component.report.state is State.READY)
    for file in tmp_path.iterdir():
        file.unlink()
    await until(lambda: component.report.state is State.DEGRADED)
    assert "were written again, and nothing is lost" in component.report.detail
    assert (tmp_path / "journal.sqlite3").exists()
    await until(lambda: component.report.state is State.READY)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await journal.close()


async def test_a_model_call_that_never_returns_is_in_the_health(monkeypatch):
    """Degraded, because another thread goes on; after the third time failed, because something is wrong there."""
    monkeypatch.setattr(supervision, "_BETWEEN_LOOKS", 0.01)
    worker = InferenceWorker("test", lambda: None, capacity=4)
    never = threading.Event()
    call = ModelCall(lambda items: never.wait(20) and items, 1)
    component = Health().component("models")
    looking = asyncio.create_task(supervision.look_at_models(worker, component, 0.05))
    for state in (State.DEGRADED, State.DEGRADED, State.FAILED):
        with pytest.raises(DeadlineExceeded):
            await worker.run(call, ["x"])
        await until(lambda state=state: component.report.state is state)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    never.set()
    await worker.close()


async def test_background_work_that_fails_is_begun_anew(monkeypatch):
    """Nothing that the bot does beside its services ends for good."""
    begun = 0

    async def fails_twice() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ZeroDivisionError

    await supervision.start_again("work", fails_twice)
    assert begun == 3
