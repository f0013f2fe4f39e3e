"""The order of questions: the person who has had least comes next."""

import asyncio
import random
from collections import Counter

import pytest

from bot.questions.scheduler import FairScheduler


class Line:
    """Questions that wait for a slot, each held until somebody else is to go on."""

    def __init__(self, parallel: int = 1, extra: int = 0) -> None:
        self.scheduler = FairScheduler(parallel, extra)
        self.first: set[str] = set()  # those that went first
        self.served: list[str] = []
        self.places: dict[str, list[int]] = {}
        self._go_on = asyncio.Semaphore(0)
        self._tasks: list[asyncio.Task[None]] = []

    async def asks(self, author: str, chat: str | None = None, *, name: str | None = None) -> asyncio.Task[None]:
        places = self.places.setdefault(name or author, [])

        async def question() -> None:
            slot = self.scheduler.slot(("author", author), ("chat", chat or author), places.append)
            async with slot as first:
                self.first |= {name or author} if first else set()
                self.served.append(name or author)
                await self._go_on.acquire()

        task = asyncio.create_task(question())
        self._tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def serve(self, count: int) -> None:
        for _ in range(count):
            self._go_on.release()
            for _ in range(5):
                await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def line():
    line = Line()
    yield line
    await line.close()


async def test_one_who_has_asked_much_waits_for_others_who_have_not(line):
    """A hundred questions in a hundred chats: the next person waits for the one under way."""
    for number in range(100):
        await line.asks("greedy", f"chat {number}")
    await line.asks("ann")
    await line.asks("bob")
    await line.serve(3)
    assert line.served[:4] == ["greedy", "ann", "bob", "greedy"]


async def test_who_has_asked_nothing_lately_gets_an_extra_turn_while_there_is_one():
    """Not those who have; and the place of who gives up is free again."""
    line = Line(parallel=1, extra=1)
    for number in range(10):
        await line.asks("greedy", f"chat {number}", name=f"greedy {number}")
    ann = await line.asks("ann")
    await line.asks("bob")
    assert line.served == ["greedy 0", "ann"]
    assert line.scheduler.expected_wait("carl", "carl") > 0
    ann.cancel()
    await asyncio.sleep(0.01)
    assert line.scheduler.expected_wait("carl", "carl") == 0
    await line.asks("carl")
    assert line.served == ["greedy 0", "ann", "carl"]
    assert {"ann", "carl", "bob"} & line.first == {"ann", "carl"}
    await line.serve(2)
    assert line.served == ["greedy 0", "ann", "carl", "bob"]
    assert {name for name in line.first if name.startswith("greedy")} == {"greedy 0"}
    await line.close()


async def test_a_chat_of_many_greedy_people_does_not_starve_other_chats(line):
    """A hundred authors in one chat, each with one question: another chat has a slot after a few of them."""
    for number in range(100):
        await line.asks(f"puppet {number}", "hostile chat")
    await line.asks("ann", "quiet chat")
    await line.serve(10)
    assert 1 <= line.served.index("ann") <= 5


async def test_a_greedy_person_does_not_starve_the_others_of_the_same_chat(line):
    """Many questions of one person count little against the chat."""
    for _ in range(50):
        await line.asks("greedy", "chat")
    await line.asks("ann", "chat")
    await line.serve(12)
    assert line.served.index("ann") <= 3


async def test_whoever_asked_nothing_lately_has_no_credit_either(line):
    """Long silence doesn't save up turns: newcomers don't push back those who wait."""
    for _ in range(3):
        await line.asks("ann")
    await line.serve(2)
    for _ in range(20):
        await line.asks("late")
    await line.serve(3)
    assert line.served.index("late") > 1
    assert line.served.count("ann") == 3


async def test_an_endless_stream_of_new_people_does_not_hold_up_who_has_asked_before(line):
    """Ten wait all the time, a new one for each that is served: the second question has a slot after two rounds."""
    await line.asks("ann")
    await line.asks("ann", name="again")
    for number in range(10):
        await line.asks(f"early {number}")
    for number in range(30):
        await line.serve(1)
        await line.asks(f"late {number}")
    assert line.served.index("again") <= 2 * 11


async def test_people_are_served_in_the_order_they_came(line):
    """Among those who have had equally much."""
    for name in "abcdef":
        await line.asks(name)
    await line.serve(5)
    assert line.served == list("abcdef")


async def test_as_many_turns_are_held_as_there_are(line):
    """And each that ends lets one more begin."""
    line.scheduler = FairScheduler(3)
    for name in "abcdef":
        await line.asks(name)
    assert line.served == list("abc")
    await line.serve(1)
    assert line.served == list("abcd")


async def test_the_place_in_the_line_is_told_at_first_and_when_half_the_way_is_gone(line):
    """Not at each step: platforms limit how often a message may be edited."""
    for name in "abcdefghi":
        await line.asks(name)
    assert line.places["a"] == []
    assert line.places["i"] == [8]
    await line.serve(8)
    assert line.places["i"] == [8, 4, 2, 1]


async def test_who_gives_up_leaves_no_gap(line):
    """Waiting or just granted, no slot is lost."""
    await line.asks("a")
    waiting = await line.asks("b")
    await line.asks("c")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await line.serve(1)
    assert line.served == ["a", "c"]
    granted = await line.asks("d")
    await line.asks("e")
    line._go_on.release()
    await asyncio.sleep(0)
    granted.cancel()
    await line.serve(2)
    assert line.served[-1] == "e"
    assert line.scheduler.expected_wait("f", "chat") == 0


async def test_who_gives_up_in_the_moment_in_which_a_turn_is_free_hurts_nobody(line):
    """The deadlines of two questions end together, say: one frees its slot, and the other has just stopped waiting."""
    held = await line.asks("a")
    waiting = await line.asks("b")
    await line.asks("c")
    held.cancel()
    waiting.cancel()
    ended = await asyncio.gather(waiting, held, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 2
    await line.serve(1)
    assert line.served == ["a", "c"]
    assert line.scheduler.expected_wait("d", "chat") == 0


async def test_the_expected_wait_is_that_of_the_one_who_asks(line):
    """Long for whoever has asked much, short for others; none where a turn is free."""
    assert line.scheduler.expected_wait("ann", "chat") == 0
    for _ in range(30):
        await line.asks("greedy")
    for _ in range(5):
        await asyncio.sleep(0.02)
        await line.serve(1)
    greedy = line.scheduler.expected_wait(("author", "greedy"), ("chat", "greedy"))
    newcomer = line.scheduler.expected_wait(("author", "ann"), ("chat", "ann"))
    assert greedy > 20 * 0.01
    assert newcomer < greedy / 5


@pytest.mark.parametrize("seed", range(5))
async def test_everybody_gets_the_same_share_however_much_each_asks(seed):
    """Over any time in which all of them have something waiting."""
    line = Line()
    chance = random.Random(seed)
    people = {f"person {n}": chance.randrange(20, 60) for n in range(8)}
    everything = [name for name, count in people.items() for _ in range(count)]
    chance.shuffle(everything)
    await line.asks("before")
    for name in everything:
        await line.asks(name)
    await line.serve(120)
    shares = Counter(line.served[1:121])
    assert max(shares.values()) - min(shares[name] for name in people) <= 1
    await line.close()


async def test_nothing_is_kept_of_people_once_nobody_waits(line):
    """The memory doesn't grow with everybody who has ever asked."""
    for number in range(50):
        await line.asks(f"person {number}")
    await line.serve(50)
    assert line.scheduler._due == {}
