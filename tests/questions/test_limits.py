"""How many questions in a while, whatever the clock does."""

import time
from datetime import UTC, datetime, timedelta

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


def question(author: str, chat: str = "chat", *, ago: float = 0.0) -> Question:
    """One that was asked so many seconds ago."""
    return Question("text", "c", author, Address("test", chat, "1"), datetime.now(UTC) - timedelta(seconds=ago))


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
    assert refusal.value.seconds == pytest.approx(20, abs=0.1)
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
    assert len(limited._counted) == 1


def test_questions_of_an_absence_count_by_when_they_were_asked():
    """They arrive within a second, but were asked over an hour. What was too much then is too much now."""
    limited = limits(Clock(), author=2)
    for minutes in range(60, 0, -1):
        limited.count(question("ann", ago=70 * minutes))
    limited.count(question("ann"))
    limited.count(question("ann"))
    for seconds in (3000, 2990):
        limited.count(question("bob", ago=seconds))
    with pytest.raises(RateLimited):
        limited.count(question("bob", ago=2980))
    limited.count(question("bob", ago=2900))


def test_questions_of_two_chats_may_come_one_chat_after_the_other():
    """After an absence those of the second chat were asked at the same times as those of the first, or before."""
    limited = limits(Clock(), author=3)
    for chat in ("first", "second"):
        for minutes in range(60, 0, -1):
            limited.count(question("ann", chat, ago=70 * minutes))


def test_a_clock_that_is_wrong_by_a_day_limits_as_any_other(monkeypatch):
    """The platform says when a question was asked, by a clock of its own."""
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    limited = limits(Clock(), author=2)
    limited.count(question("ann"))
    limited.count(question("ann"))
    with pytest.raises(RateLimited) as refusal:
        limited.count(question("ann"))
    assert 50 < refusal.value.seconds <= 60
