"""Telegram while a real language model writes: the growing draft, and stopping it."""

import asyncio

import pytest
from telegram_application import until

from bot.adapters.telegram import progress
from tests.writing import (
    ASKS_FOR_ALL,
    BOILER,
    DOCUMENTS,
    FIRST_SENTENCE,
    held,
    writing_again,
    writing_application,
)


@pytest.fixture(autouse=True)
def quick_placeholders(quick_chats, monkeypatch):
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.2)
    monkeypatch.setattr(progress, "_BETWEEN_EDITS", 0.5)


@pytest.fixture
async def writing(settings, models, folder_of, copying):
    folder_of(DOCUMENTS)
    async with writing_application(settings, models, copying) as application:
        yield application


@pytest.fixture
async def application(application_of, writing):
    made = application_of()
    made.engine = writing.answering.engine
    writing.answering.engine.may_answer = asyncio.Event()  # which the application sets when it stops
    async with made as application:
        await application.start()
        yield application


async def test_sentences_appear_once_they_are_checked_and_the_answer_takes_their_place(
    server, application, writing, ann
):
    """In one placeholder, edited a few times; of the sentence that is being written nothing is seen."""
    model = held(writing, after=9)
    chat = server.private(ann)
    server.says(chat, ann, ASKS_FOR_ALL)
    await until(lambda: chat.texts == [f"{FIRST_SENTENCE} …"])
    model.release()
    await until(lambda: len(chat.texts) == 1 and chat.texts[0].startswith(BOILER))
    assert len(server.called("sendMessage")) == 1
    assert len(server.called("editMessageText")) <= 3


async def test_a_command_stops_the_model_between_two_tokens(server, application, writing, ann):
    """And the next question is answered by it."""
    model = held(writing, after=3)
    chat = server.private(ann)
    server.says(chat, ann, ASKS_FOR_ALL)
    await until(lambda: model.texts)
    [text] = model.texts
    await until(lambda: chat.texts)
    server.says(chat, ann, "/stop")
    await until(lambda: chat.texts == ["Stopped."])
    assert text.stopped.is_set()
    model.release()
    async with asyncio.timeout(5):
        await writing_again(writing)
    assert len(text.tokens) <= 4
    server.says(chat, ann, "How long is the lamp?")
    await until(lambda: chat.texts[-1].startswith("The lamp is 35 metres long."))
