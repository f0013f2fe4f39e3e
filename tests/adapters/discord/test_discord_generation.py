"""Discord while a real language model writes: the growing draft, and stopping it."""

import asyncio

import pytest

from bot.adapters.discord import progress
from tests.adapters.discord.discord_application import first, labels
from tests.writing import (
    ASKS_FOR_ALL,
    BOILER,
    DOCUMENTS,
    FIRST_SENTENCE,
    held,
    writing_again,
    writing_application,
)

pytestmark = pytest.mark.usefixtures("guild", "channel")


@pytest.fixture
async def application(settings, models, folder_of, copying):
    folder_of(DOCUMENTS)
    async with writing_application(settings, models, copying) as application:
        yield application


@pytest.fixture
def engine(application):
    return application.answering.engine


async def test_sentences_appear_once_they_are_checked_and_the_answer_takes_their_place(
    bot, application, server, channel, ann
):
    """In one message, which is edited no more than once a second; of the sentence that is being written nothing is seen."""
    model = held(application, after=9)
    await server.say(channel, f"@bot {ASKS_FOR_ALL}", ann)
    [draft] = await first(server, channel)
    assert labels(draft) == ["Stop"]
    await server.until(lambda: draft["content"] == FIRST_SENTENCE)
    model.release()
    await server.until(lambda: draft["content"].startswith(BOILER))
    assert labels(draft) == ["Helpful", "Not helpful", "Show the passage"]
    assert server.from_bot(channel) == [draft]
    assert server.count("PATCH", draft["id"]) <= 3


async def test_the_button_stops_the_model_between_two_tokens(bot, application, server, channel, ann, monkeypatch):
    """And the next question is answered by it."""
    monkeypatch.setattr(progress, "_EDIT_EVERY", 0.05)
    model = held(application, after=3)
    await server.say(channel, f"@bot {ASKS_FOR_ALL}", ann)
    [draft] = await first(server, channel)
    row = await server.until(lambda: model.texts and model.texts[0])
    await server.press(draft, "Stop", ann)
    await server.until(lambda: draft["content"] == "⏹️ Stopped.")
    assert row.stopped.is_set()
    model.release()
    async with asyncio.timeout(5):
        await writing_again(application)
    assert len(row.tokens) <= 4
    await server.say(channel, "@bot How long is the lamp?", ann)
    messages = await first(server, channel, 2)
    await server.until(lambda: messages[1]["content"].startswith("The lamp is 35 metres long."))


async def test_a_deleted_question_stops_the_model(bot, application, server, channel, ann):
    """Nobody waits for the answer any more."""
    model = held(application, after=3)
    asked = await server.say(channel, f"@bot {ASKS_FOR_ALL}", ann)
    await first(server, channel)
    row = await server.until(lambda: model.texts and model.texts[0])
    await server.delete(asked)
    await server.until(row.stopped.is_set)
    await server.until(lambda: server.from_bot(channel) == [])
    model.release()
