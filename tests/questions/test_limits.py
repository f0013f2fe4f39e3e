"""How many questions in a while, whatever the clock does."""

import time
from datetime import UTC, datetime

import pytest

from bot.core.errors import RateLimited
from bot.core.messages import Address, Question
from bot.core.settings import LimitsSettings
from bot.questions.limits import QuestionLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def question(author: str, chat: str = "chat") -> Question:
    return Question("text", "c", author, Address("test", chat, "1"), datetime.now(UTC))


def limits(clock: Clock, author: int = 2, chat: int = 0) -> QuestionLimits:
    return QuestionLimits(LimitsSettings(author_questions=author, chat_questions=chat), clock)


def test_the_window_moves():
    """A question counts until it is as old as the window, and the refusal says when that is."""
    clock = Clock()
    limited = limits(clock)
    limited.count(question("ann"))
    clock.now += 40
    limited.count(question("ann"))
    with pytest.raises(RateLimited) as refusal:
        limited.count(question("ann"))
    assert refusal.value.seconds == pytest.approx(20)
    clock.now += 20
    limited.count(question("ann"))
    limited.count(question("bob"))


def test_what_is_refused_for_the_chat_does_not_count_for_the_author():
    """Nobody loses a question of their own to a busy chat."""
    limited = limits(Clock(), author=2, chat=1)
    limited.count(question("ann", "busy"))
    with pytest.raises(RateLimited):
        limited.count(question("ann", "busy"))
    limited.count(question("ann", "quiet"))


def test_a_repeated_event_can_be_taken_back():
    """It was counted before it was known as one."""
    limited = limits(Clock(), author=1)
    limited.count(question("ann"))
    limited.take_back(question("ann"))
    limited.count(question("ann"))


def test_a_clock_that_steps_back_locks_nobody_out(monkeypatch):
    """By a day, after somebody had asked as much as is allowed: the window ends as if nothing had happened."""
    monkeypatch.setattr("bot.questions.limits._WINDOW", 1.0)
    limited = QuestionLimits(LimitsSettings(author_questions=1))
    limited.count(question("ann"))
    yesterday = time.time() - 86_400
    monkeypatch.setattr(time, "time", lambda: yesterday)
    with pytest.raises(RateLimited) as refusal:
        limited.count(question("ann"))
    assert refusal.value.seconds <= 1
    time.sleep(refusal.value.seconds + 0.01)
    limited.count(question("ann"))


def test_who_asks_no_more_is_forgotten():
    """The memory doesn't grow with everybody who has ever asked."""
    clock = Clock()
    limited = limits(clock)
    for number in range(100):
        limited.count(question(f"person {number}"))
    clock.now += 61
    limited.count(question("ann"))
    assert len(limited._asked) == 1
