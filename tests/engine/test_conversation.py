"""Earlier questions: the ways to take a follow-up, and how long they are remembered."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.messages import Address, Answer, Outcome, QueryVariant, Question, Turn
from bot.core.settings import ConversationSettings
from bot.engine.conversation import Conversations, Interpretation, points_back
from bot.storage.sqlite.journal import SqliteJournal


@pytest.fixture
async def store(tmp_path):
    journal = await SqliteJournal.open(tmp_path)
    yield journal.conversations
    await journal.close()


def ask(text: str, conversation: str = "c", replied_to: str | None = None) -> Question:
    return Question(text, conversation, "someone", Address("test", "chat", text), datetime.now(UTC), replied_to)


ANSWERED = Answer(Outcome.ANSWERED, "An answer.", "ref")


def alone(text: str) -> Interpretation:
    return Interpretation((QueryVariant(text),), text)


async def follow_up(conversations: Conversations, question: Question) -> Interpretation | None:
    """The question as a follow-up; None where it is taken only by itself."""
    *others, last = await conversations.interpretations(question)
    assert last == alone(question.text)
    return others[0] if others else None


async def test_a_first_question_is_taken_as_it_stands(store):
    """There is nothing that it could refer to."""
    conversations = Conversations(store, ConversationSettings())
    assert await conversations.interpretations(ask("how hot?")) == [alone("how hot?")]


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
    """The weights of both variants are 1 together, and the earlier questions stand behind the newest first. It is also taken
    by itself, last."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), ANSWERED)
    await conversations.remember(ask("second"), ANSWERED)
    together = f"{text} second first"
    assert await conversations.interpretations(ask(text)) == [
        Interpretation((QueryVariant(text, weight), QueryVariant(together, 1 - weight)), together),
        alone(text),
    ]


async def test_a_reply_refers_to_the_message_that_it_replies_to(store):
    """Which counts as the latest thing said."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), ANSWERED)
    taken = await follow_up(conversations, ask("and then?", replied_to="the message"))
    assert taken is not None and taken.text == "and then? the message first"


@pytest.mark.parametrize("text", ["how do I change it?", "Is that so", "and THERE?", "why?", "and how?", "", "???"])
def test_some_questions_need_what_came_before(text):
    """They point back, or say nothing of their own."""
    assert points_back(text)


@pytest.mark.parametrize("text", ["what is HF_HOME", "which commands exist on Discord?", "opening hours", "price?"])
def test_other_questions_say_what_they_mean(text):
    """However short they are."""
    assert not points_back(text)


async def test_conversations_do_not_mix(store):
    """The questions of one person are no context for those of another."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first", "one"), ANSWERED)
    assert await follow_up(conversations, ask("now?", "another")) is None


async def test_only_so_many_earlier_questions_are_referred_to(store):
    """The oldest drop out; with none allowed, nothing is kept at all."""
    conversations = Conversations(store, ConversationSettings(turns=2))
    for number in range(4):
        await conversations.remember(ask(f"q{number}"), ANSWERED)
    taken = await follow_up(conversations, ask("now?"))
    assert taken is not None and taken.text == "now? q3 q2"
    without = Conversations(store, ConversationSettings(turns=0))
    await without.remember(ask("kept?", "other"), ANSWERED)
    assert await follow_up(without, ask("now?", "other")) is None
    assert await store.turns("other", newer_than=0, limit=9) == []


async def test_what_has_expired_is_not_referred_to_and_is_erased(store, monkeypatch):
    """Half an hour later it is a new conversation, and nothing of the old one is left."""
    now = 1_000_000.0
    monkeypatch.setattr("bot.core.clock.now", lambda: now)
    conversations = Conversations(store, ConversationSettings(expire_seconds=1800))
    await conversations.remember(ask("first"), ANSWERED)
    now += 1799
    assert await follow_up(conversations, ask("now?")) is not None
    now += 2
    assert await follow_up(conversations, ask("now?")) is None
    await conversations.forget_expired()
    assert await store.turns("c", newer_than=0, limit=9) == []


async def test_a_suggestion_is_remembered_too(store):
    """For who asks on has read it."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), replace(ANSWERED, outcome=Outcome.SUGGESTED))
    assert await follow_up(conversations, ask("now?")) is not None


@pytest.mark.parametrize("outcome", [Outcome.DECLINED, Outcome.SMALL_TALK, Outcome.FAILED])
async def test_only_answered_questions_are_remembered(store, outcome):
    """A declined question explains nothing."""
    conversations = Conversations(store, ConversationSettings())
    await conversations.remember(ask("first"), Answer(outcome, "No.", "ref"))
    assert await follow_up(conversations, ask("now?")) is None


async def test_what_was_said_before_may_come_with_the_question(store):
    """Then it counts instead of what is remembered, as many turns as the settings allow, and nothing of it is kept."""
    conversations = Conversations(store, ConversationSettings(turns=2))
    await conversations.remember(ask("remembered"), ANSWERED)
    said = tuple(Turn(text, "An answer.") for text in ("first", "second", "third"))
    question = replace(ask("and then?"), earlier=said)
    taken = await follow_up(conversations, question)
    assert taken is not None and taken.text == "and then? third second"
    await conversations.remember(question, ANSWERED)
    assert [turn.question for turn in await conversations.turns(ask("x"))] == ["remembered"]
    assert await follow_up(conversations, replace(ask("and then?"), earlier=())) is None
