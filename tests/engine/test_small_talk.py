"""Greetings and thanks get a reply of their own; whatever might be a question does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.small_talk import small_talk_reply


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("hi", "Hello!"),
        ("Hello!!", "Hello!"),
        ("hey there :)", "Hello!"),
        ("Good morning everyone", "Hello!"),
        ("  HI  bot ", "Hello!"),
        ("thanks", "You're welcome!"),
        ("Thank you so much!", "You're welcome!"),
        ("ok, thanks a lot", "You're welcome!"),
        ("Great, thank you for your help.", "You're welcome!"),
        ("Who are you?", "I'm a bot"),
        ("hi, who are you?", "I'm a bot"),
        ("what’s your name?", "I'm a bot"),
        ("are you a robot or a human?", "I'm a bot"),
        ("What can you do for me?", "I'm a bot"),
        ("How are you today?", "Ready"),
        ("hello! how's it going?", "Ready"),
        ("what's up", "Ready"),
        ("Bye!", "Goodbye!"),
        ("see you tomorrow", "Goodbye!"),
        ("good bot", "Glad"),
        ("lol 😂", "Glad"),
        ("OK", "Glad"),
        ("hey, nice work!", "Glad"),
    ],
)
def test_small_talk_is_answered_politely(said, begins):
    """Case, punctuation, emoji and a greeting before it don't matter."""
    reply = small_talk_reply(said)
    assert reply is not None and reply.startswith(begins)


@pytest.mark.parametrize(
    "said",
    [
        "hi, how do I install the bot?",
        "thanks, and on Windows?",
        "who are your customers?",
        "what can you do with the API?",
        "what is up with the sensor",
        "how are you installed",
        "cool down the engine",
        "good practices",
        "later versions",
        "hello world program",
        "are you a bot that reads PDF?",
    ],
)
def test_what_might_be_a_question_is_left_to_the_documents(said):
    """Only a message that is small talk as a whole counts."""
    assert small_talk_reply(said) is None


@pytest.mark.parametrize("said", ["", " ", "?", "👍", "...", "\n"])
def test_a_message_without_words_is_asked_for_some(said):
    """It asks nothing, and must not repeat the last answer as a follow-up."""
    assert small_talk_reply(said) == "Ask me a question in words, and I'll look it up in the documents."


def test_a_single_unknown_word_is_no_small_talk():
    """It may be what somebody looks for."""
    assert small_talk_reply("hi" * 20) is None


@given(st.text())
def test_any_message_gets_a_reply_or_none(text):
    """Never an error, and never an empty reply."""
    assert small_talk_reply(text) != ""


def test_a_long_message_is_judged_at_once():
    """The longest repetition that a pattern allows takes no time."""
    assert small_talk_reply("thanks" + " a lot" * 20_000) == "You're welcome!"
    assert small_talk_reply("hi" + " there" * 20_000 + " what?") is None
