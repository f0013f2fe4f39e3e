import pytest
from questions_parts import EchoEngine, Pigeonhole

from bot.core.settings import QueueSettings
from bot.questions import delivery
from bot.questions.dispatcher import Dispatcher
from bot.storage.sqlite.journal import SqliteJournal


@pytest.fixture
def engine():
    return EchoEngine()


@pytest.fixture
def adapter():
    return Pigeonhole()


@pytest.fixture
async def journal(tmp_path):
    journal = await SqliteJournal.open(tmp_path)
    yield journal
    await journal.close()


@pytest.fixture
async def dispatcher(engine, adapter, journal):
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=8, parallel=3, deadline_seconds=5))
    dispatcher.register([adapter])
    yield dispatcher
    engine.may_answer.set()
    await dispatcher.close(5)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(delivery, "_PAUSES", (0.0, 0.0, 0.0))
