"""Greetings and thanks get a reply of their own; whatever might be a question does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.small_talk import asks_about_contents, contents_reply, new_subject, small_talk_reply, without_courtesies


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


@pytest.mark.parametrize(
    "said",
    [
        "What documents do you have?",
        "which topics can you answer",
        "list your sources",
        "show me all the documents",
        "What can I ask you about?",
        "What do you know?",
        "help!",
        "How do I use this bot?",
    ],
)
def test_who_asks_about_the_documents_is_told(said):
    assert asks_about_contents(said)


@pytest.mark.parametrize(
    "said",
    [
        "What documents do I need?",
        "help with the printer",
        "what do you know about tea?",
        "list the documents for a visa",
    ],
)
def test_what_asks_the_documents_is_left_to_them(said):
    assert not asks_about_contents(said)


def test_of_many_documents_some_are_named():
    assert contents_reply(["A"]) == "Ask me in your own words about what is in my 1 document: “A”."
    assert contents_reply([f"T{n}" for n in range(20)]).endswith("“T10”, “T11” and 8 more.")
    assert contents_reply([]) == "I have no documents yet."


@pytest.mark.parametrize(
    "said",
    [
        "Hi there! What is tea?",
        "thanks, and what is tea?",
        "What is tea? Thanks in advance!",
        "Hello, one quick question: What is tea?",
        "ok, What is tea? please",
    ],
)
def test_courtesies_around_a_question_are_left_out(said):
    assert without_courtesies(said).lower() == "what is tea?"


@pytest.mark.parametrize("said", ["thanks", "Quick question", "What is a last question?", "Tea - please explain"])
def test_what_is_no_courtesy_stays(said):
    assert without_courtesies(said) == said


@pytest.mark.parametrize(
    "said", ["Unrelated: what is tea?", "btw, what is tea?", "Oh, different question - what is tea?"]
)
def test_another_subject_is_announced(said):
    assert new_subject(said) == "what is tea?"


@pytest.mark.parametrize("said", ["what is tea?", "another: ", "Other teas?", "new tea: which?", "unrelated"])
def test_no_announcement_is_none(said):
    assert new_subject(said) is None
