"""What was said before: how a follow-up is put, and for how long it is remembered."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.messages import Address, Answer, Outcome, Question, Turn
from bot.core.settings import ConversationSettings
from bot.engine.conversation import Conversations, may_stand_alone
from bot.storage.sqlite.journal import SqliteJournal


@pytest.fixture
async def store(tmp_path):
    store = await SqliteJournal.open(tmp_path)
    yield store
    await store.close()


def ask(text: str, conversation: str = "c", replied_to: str | None = None) -> Question:
    return Question(text, conversation, "someone", Address("test", "chat", text), datetime.now(UTC), replied_to)


ANSWERED = Answer(Outcome.ANSWERED, "An answer.", "ref")


async def test_a_first_question_is_searched_as_it_stands(store):
    """There is nothing that it could refer to."""
    [variant] = await Conversations(store, ConversationSettings()).variants(ask("how hot?"))
    assert (variant.text, variant.weight) == ("how hot?", 1)
    assert not may_stand_alone([variant])


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("and with what?", 0),  # nothing of its own
        ("how do I change it?", 0),  # one word, and one that points back
        ("and the price?", 0.25),
        ("what does the blue model cost", 0.5),
        ("does it need blue paint", 0.5),
    ],
)
async def test_the_less_a_follow_up_says_the_more_its_context_counts(store, text, weight):
    """The weights of both variants are 1 together, and the earlier questions stand behind the newest first."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), ANSWERED)
    await conversations.remember(ask("second"), ANSWERED)
    alone, together = await conversations.variants(ask(text))
    assert (alone.text, alone.weight) == (text, weight)
    assert (together.text, together.weight) == (f"{text} second first", 1 - weight)
    assert may_stand_alone([alone, together]) is (weight == 0.5)


async def test_only_so_many_earlier_questions_are_referred_to(store):
    """The oldest drop out; with none allowed, nothing is kept at all."""
    conversations = Conversations(store, ConversationSettings(turns=2))
    for number in range(4):
        await conversations.remember(ask(f"q{number}"), ANSWERED)
    assert (await conversations.variants(ask("now?")))[1].text == "now? q3 q2"
    without = Conversations(store, ConversationSettings(turns=0))
    await without.remember(ask("kept?", "other"), ANSWERED)
    assert len(await without.variants(ask("now?"))) == 1
    assert await store.turns("other", newer_than=0, limit=9) == []


async def test_what_has_expired_is_not_referred_to_and_is_erased(store, monkeypatch):
    """Half an hour later it is a new conversation, and nothing of the old one is left."""
    now = 1_000_000.0
    monkeypatch.setattr("bot.engine.conversation.time.time", lambda: now)
    conversations = Conversations(store, ConversationSettings(expire_seconds=1800))
    await conversations.remember(ask("first"), ANSWERED)
    now += 1799
    assert len(await conversations.variants(ask("now?"))) == 2
    now += 2
    assert len(await conversations.variants(ask("now?"))) == 1
    await conversations.forget_expired()
    assert await store.turns("c", newer_than=0, limit=9) == []


@pytest.mark.parametrize("outcome", [Outcome.DECLINED, Outcome.SMALL_TALK, Outcome.FAILED])
async def test_only_answered_questions_are_remembered(store, outcome):
    """What was not answered explains nothing."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), Answer(outcome, "No.", "ref"))
    assert len(await conversations.variants(ask("now?"))) == 1


async def test_what_was_said_before_may_come_with_the_question(store):
    """Then it counts instead of what is remembered, as many turns as the settings allow, and nothing of it is kept."""
    conversations = Conversations(store, ConversationSettings(turns=2))
    await conversations.remember(ask("remembered"), ANSWERED)
    said = tuple(Turn(text, "An answer.") for text in ("first", "second", "third"))
    question = replace(ask("and then?"), earlier=said)
    assert [variant.text for variant in await conversations.variants(question)] == [
        "and then?",
        "and then? third second",
    ]
    await conversations.remember(question, ANSWERED)
    assert [turn.question for turn in await conversations.turns(ask("x"))] == ["remembered"]
    [alone] = await conversations.variants(replace(ask("and then?"), earlier=()))
    assert alone.weight == 1
