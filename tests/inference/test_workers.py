"""The worker: batches, order, admission, deadlines, and failures that stay where they belong."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from bot.core.errors import DeadlineExceeded, EngineBusy, ModelsLoading, WeightsError
from bot.inference.workers import AsyncEncoder, InferenceWorker, ModelCall, Models, Priority, going_first


class Machine:
    """A model call that notes its batches, can be held up, and fails over the item "bad"."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.running = threading.Event()
        self.error: BaseException = ValueError("bad item")
        self.call = ModelCall(self.run, largest_batch=3)

    def run(self, items: Sequence[str]) -> np.ndarray:
        self.batches.append(list(items))
        self.running.set()
        assert self.may_run.wait(10)
        if "bad" in items:
            raise self.error
        return np.array([[len(item)] for item in items], dtype=np.float32)


class OneCallWorker(InferenceWorker):
    """A worker whose jobs all make the same call unless another is named."""

    def __init__(self, call: ModelCall, capacity: int) -> None:
        super().__init__("test", lambda: None, capacity=capacity)
        self._call = call

    async def run(self, items, call=None, **options):
        return await super().run(call or self._call, items, **options)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
async def worker(machine):
    worker = OneCallWorker(machine.call, capacity=4)
    yield worker
    machine.may_run.set()
    await worker.close()


async def held_up(worker, machine):
    """A job that occupies the worker until `machine.may_run` is set."""
    machine.may_run.clear()
    machine.running.clear()
    task = asyncio.create_task(worker.run(["first"]))
    assert await asyncio.to_thread(machine.running.wait, 10)
    return task


async def test_rows_come_back_in_the_order_of_the_items(worker):
    """Each waiter gets the rows of its own items."""
    one, two = await asyncio.gather(worker.run(["a", "bb"]), worker.run(["ccc"]))
    assert one.tolist() == [[1], [2]]
    assert two.tolist() == [[3]]


async def test_what_waits_is_batched_up_to_the_limit(worker, machine):
    """Jobs that wait together run together, whole, as many as fit."""
    first = await held_up(worker, machine)
    waiting = [asyncio.create_task(worker.run(items)) for items in (["a"], ["b", "c"], ["d"])]
    await asyncio.sleep(0)
    machine.may_run.set()
    await asyncio.gather(first, *waiting)
    assert machine.batches == [["first"], ["a", "b", "c"], ["d"]]


async def test_jobs_of_one_call_are_batched_across_those_of_another(worker, machine):
    """Whose turn it is goes first; what waits for the same model goes along, and nothing is given to the wrong one."""
    other = Machine()
    first = await held_up(worker, machine)
    waiting = [
        asyncio.create_task(worker.run(["a"])),
        asyncio.create_task(worker.run(["x"], call=other.call)),
        asyncio.create_task(worker.run(["b"])),
    ]
    await asyncio.sleep(0)
    machine.may_run.set()
    await asyncio.gather(first, *waiting)
    assert machine.batches == [["first"], ["a", "b"]]
    assert other.batches == [["x"]]


async def test_indexing_does_not_begin_between_the_two_calls_of_a_question(worker, machine):
    """A question is encoded, searched for and read: what waits for long can wait a moment longer."""
    for _ in range(5):
        machine.batches.clear()
        await worker.run(["encode"])
        indexing = asyncio.create_task(worker.run(["index"], priority=Priority.INDEXING))
        await asyncio.sleep(0.005)
        await worker.run(["read"])
        await indexing
        assert machine.batches == [["encode"], ["read"], ["index"]]


async def test_questions_that_go_first_are_mixed_with_no_others(worker, machine):
    """Their jobs go before those that came earlier; the thread doesn't wait for the next one."""
    first = await held_up(worker, machine)
    others = [asyncio.create_task(worker.run([f"other {number}"])) for number in range(2)]
    await asyncio.sleep(0)

    async def quiet() -> None:
        with going_first():
            await worker.run(["encode"])
            await asyncio.sleep(0.005)
            await worker.run(["read"])

    going = asyncio.create_task(quiet())
    await asyncio.sleep(0)
    machine.may_run.set()
    await asyncio.gather(first, going, *others)
    assert machine.batches == [["first"], ["encode"], ["other 0", "other 1"], ["read"]]


async def test_questions_that_go_first_count_as_others_do_where_the_worker_is_full(worker, machine):
    """And hold others up for a moment only."""
    first = await held_up(worker, machine)
    waiting = [asyncio.create_task(worker.run(["other"])) for _ in range(3)]
    await asyncio.sleep(0)
    with going_first(), pytest.raises(EngineBusy):
        await worker.run(["first"])
    machine.may_run.set()
    await asyncio.gather(first, *waiting)
    other = asyncio.create_task(worker.run(["other"]))
    async with asyncio.timeout(10):
        while not other.done():
            with going_first():
                await worker.run(["first"])


async def test_questions_without_end_hold_up_indexing_for_a_moment_only(worker, machine):
    """A bot in demand sees new documents too, job by job, with questions in between."""
    indexing = [asyncio.create_task(worker.run([f"index {n}"], priority=Priority.INDEXING)) for n in range(2)]
    async with asyncio.timeout(10):
        while not all(task.done() for task in indexing):
            await worker.run(["question"])
    first, second = machine.batches.index(["index 0"]), machine.batches.index(["index 1"])
    assert second - first > 10


async def test_questions_go_before_indexing_and_are_not_mixed_with_it(worker, machine):
    """Indexing jobs run one by one, after the questions that came later."""
    first = await held_up(worker, machine)
    waiting = [
        asyncio.create_task(worker.run(["index 1"], priority=Priority.INDEXING)),
        asyncio.create_task(worker.run(["index 2"], priority=Priority.INDEXING)),
        asyncio.create_task(worker.run(["question"])),
    ]
    await asyncio.sleep(0)
    machine.may_run.set()
    await asyncio.gather(first, *waiting)
    assert machine.batches == [["first"], ["question"], ["index 1"], ["index 2"]]


async def test_a_job_that_raises_fails_its_own_waiter_only(worker, machine):
    """The others of the same batch get their rows, and the thread lives on."""
    first = await held_up(worker, machine)
    good, bad = asyncio.create_task(worker.run(["a"])), asyncio.create_task(worker.run(["bad"]))
    await asyncio.sleep(0)
    machine.may_run.set()
    await first
    assert (await good).tolist() == [[1]]
    with pytest.raises(ValueError, match="bad item"):
        await bad
    assert (await worker.run(["again"])).tolist() == [[5]]


@pytest.mark.parametrize("error", [StopIteration(), MemoryError(), SystemExit(1)])
async def test_no_kind_of_error_hangs_a_waiter(worker, machine, error):
    """Even what can't travel through a future arrives as an error."""
    machine.error = error
    with pytest.raises((RuntimeError, MemoryError)):
        await asyncio.wait_for(worker.run(["bad"]), 5)
    assert (await worker.run(["ok"])).tolist() == [[2]]


async def test_a_full_worker_refuses_at_once_and_frees_slots_when_jobs_end(worker, machine):
    """Giving up on waiting does not make room: the thread still has the job."""
    first = await held_up(worker, machine)
    waiting = [asyncio.create_task(worker.run(["x"])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy) as busy:
        await worker.run(["one too many"])
    assert busy.value.waiting == 4
    first.cancel()
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy):
        await worker.run(["still full"])
    machine.may_run.set()
    await asyncio.gather(*waiting)
    assert (await worker.run(["room"])).tolist() == [[4]]


async def test_a_job_whose_waiter_gave_up_is_never_run(worker, machine):
    """Nothing is computed for nobody."""
    first = await held_up(worker, machine)
    given_up = asyncio.create_task(worker.run(["nobody waits"]))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    machine.may_run.set()
    await first
    await worker.run(["next"])
    assert ["nobody waits"] not in machine.batches


async def test_closing_cancels_what_waits_and_refuses_what_comes(worker, machine):
    """A stop is not held up by a queue."""
    first = await held_up(worker, machine)
    waiting = asyncio.create_task(worker.run(["waits"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0)
    machine.may_run.set()
    await closing
    await first
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(RuntimeError, match="closed"):
        await worker.run(["late"])


async def test_starting_and_closing_leaves_no_threads_behind(machine):
    """Fifty workers later there are as many threads as before."""
    before = workers()
    for _ in range(50):
        worker = OneCallWorker(machine.call, capacity=1)
        await worker.run(["x"])
        assert workers() == before + 1
        await worker.close()
    assert workers() == before


def workers():
    return sum(thread.name.startswith("worker-") for thread in threading.enumerate())


async def test_a_call_that_never_returns_is_given_up_and_the_worker_goes_on(worker, machine):
    """Its waiter is told, what waited is done by another thread, and a late return hurts nobody."""
    stuck = await held_up(worker, machine)
    waiting = asyncio.create_task(worker.run(["next"], ModelCall(lambda items: [[len(item)] for item in items], 3)))
    await asyncio.sleep(0.02)
    assert not worker.replace_if_stuck(60)
    assert worker.replace_if_stuck(0.01)
    with pytest.raises(DeadlineExceeded):
        await stuck
    async with asyncio.timeout(5):
        assert await waiting == [[4]]
    assert not worker.replace_if_stuck(0.01)
    machine.may_run.set()  # the thread that was given up comes back
    async with asyncio.timeout(5):
        await at_rest(worker)
        rows = await asyncio.gather(*(worker.run([word]) for word in ("a", "bb", "ccc", "dddd")))
    assert [row[0][0] for row in rows] == [1, 2, 3, 4]
    await asyncio.sleep(0.05)
    assert sum(thread.name == "worker-test" for thread in threading.enumerate()) == 1


async def at_rest(worker):
    """A slot is free a moment after the result is there."""
    while any(worker._unfinished.values()):  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(0.005)


async def test_the_room_of_a_call_that_was_given_up_is_free_again(worker, machine):
    """So that a worker that was stuck admits as much as before."""
    stuck = [await held_up(worker, machine)] + [asyncio.create_task(worker.run([str(n)])) for n in range(3)]
    await asyncio.sleep(0.02)
    with pytest.raises(EngineBusy):
        await worker.run(["one too many"])
    worker.replace_if_stuck(0)
    machine.may_run.set()
    await asyncio.gather(*stuck, return_exceptions=True)
    async with asyncio.timeout(5):
        await at_rest(worker)
    await asyncio.gather(*(worker.run([str(n)]) for n in range(4)))


# --- loading ----------------------------------------------------------------------------------------------------------


class Loading:
    """A loader that can be held up, and that raises an error if there is one."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.error: BaseException | None = None
        self.may_load = threading.Event()

    def __call__(self) -> Models:
        assert self.may_load.wait(10)
        if self.error is not None:
            raise self.error
        return self.models


@pytest.fixture
def loading(encoder):
    return Loading(Models(encoder, None))


async def test_questions_wait_for_models_that_are_being_loaded(loading, encoder):
    """What can't wait raises an error that says so; nothing is taken for stuck meanwhile."""
    worker = InferenceWorker("test", loading, capacity=4)
    encoding = AsyncEncoder(worker)
    waiting = asyncio.create_task(encoding.encode(["text"]))
    await asyncio.sleep(0.02)
    with pytest.raises(ModelsLoading):
        _ = encoding.identity
    assert not worker.replace_if_stuck(0)
    loading.may_load.set()
    assert (await waiting).shape == (1, encoder.dimension)
    assert encoding.identity == encoder.identity
    await worker.close()


async def test_who_waits_for_the_models_may_give_up(loading):
    """It doesn't concern the others."""
    worker = InferenceWorker("test", loading, capacity=4)
    waiting = asyncio.create_task(worker.loaded())
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.sleep(0)
    loading.may_load.set()
    assert await worker.loaded() is loading.models
    await worker.close()


@pytest.mark.parametrize("error", [WeightsError("no weights"), MemoryError()])
async def test_models_that_can_t_be_loaded_fail_everybody_who_needs_them(loading, error):
    """With the reason, and the worker can be closed."""
    loading.error = error
    worker = InferenceWorker("test", loading, capacity=4)
    waiting = asyncio.create_task(AsyncEncoder(worker).encode(["text"]))
    loading.may_load.set()
    for asked in (worker.loaded(), waiting, AsyncEncoder(worker).encode(["more"])):
        with pytest.raises(type(error)):
            await asked
    async with asyncio.timeout(5):
        await worker.close()


async def test_closing_waits_for_no_loading(loading):
    """A load can't be stopped; its thread ends after it."""
    before = workers()
    worker = InferenceWorker("test", loading, capacity=4)
    await worker.close(3600)
    assert workers() == before + 1
    loading.may_load.set()
    async with asyncio.timeout(5):
        await worker.loaded()
        await worker.close(5)
    assert workers() == before
