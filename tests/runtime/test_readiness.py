"""From the start to the first answer: models that are loaded, and an index that fits them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core.errors import DocumentError, WeightsError
from bot.core.settings import Settings
from bot.inference.encoder import WordEncoder
from bot.inference.workers import Models
from bot.observability.health import State
from bot.observability.loop_lag import LoopLagProbe
from bot.runtime.application import Application, open_application
from bot.runtime.readiness import Readiness


class Start:
    """A bot that starts. `refreshed`: the states of models and index at each time that the index was brought up to date."""

    def __init__(self, application: Application, lag: LoopLagProbe, *, fresh: bool) -> None:
        self.application = application
        self.refreshed: list[tuple[str, ...]] = []
        self.readiness = Readiness(application, self._refresh, lag, fresh=fresh)

    async def _refresh(self, application: Application) -> None:
        self.refreshed.append(self.states)
        await application.indexer.index_folder(application.settings.knowledge.folder)

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(report.state.value for report in self.application.health.reports)

    async def passages(self) -> int:
        return (await self.application.stores.knowledge.summary()).passages


@asynccontextmanager
async def starting(settings: Settings, models: Models | None, *, fresh: bool = False) -> AsyncIterator[Start]:
    async with open_application(settings, models, background=True) as application, LoopLagProbe() as lag:
        yield Start(application, lag, fresh=fresh)


@pytest.fixture
def documents(folder_of) -> Path:
    return folder_of({"guide.md": "# Guide\n\nUse soft water.\n"})


async def test_without_an_index_the_bot_is_ready_once_it_is_made(settings, models, documents):
    async with starting(settings, models) as start:
        await start.readiness.reach()
        assert start.refreshed == [("ready", "starting")]
        assert start.states == ("ready", "ready")
        assert start.readiness.reached.is_set()
        assert await start.passages() == 1


@pytest.mark.parametrize(("fresh", "watch", "times"), [(False, True, 0), (True, True, 1), (False, False, 1)])
async def test_an_index_that_is_there_answers_at_once(settings, models, documents, fresh, watch, times):
    """Unless it has to be fresh, or nobody watches the folder, who would bring it up to date afterwards."""
    async with starting(settings, models) as start:
        await start.readiness.reach()
    settings = settings.model_copy(update={"knowledge": settings.knowledge.model_copy(update={"watch": watch})})
    async with starting(settings, models, fresh=fresh) as start:
        await start.readiness.reach()
        assert len(start.refreshed) == times


async def test_the_index_of_another_encoder_is_made_anew(settings, models, documents):
    """Its vectors mean nothing to this one."""
    async with starting(settings, Models(WordEncoder(), models.reader)) as start:
        await start.readiness.reach()
    async with starting(settings, models) as start:
        await start.readiness.reach()
        assert len(start.refreshed) == 1


async def test_models_that_are_missing_are_in_the_health_with_the_fix(settings, documents):
    encoder = settings.encoder.model_copy(update={"model": "nobody/knows-this"})
    async with starting(settings.model_copy(update={"encoder": encoder}), None) as start:
        with pytest.raises(WeightsError):
            await start.readiness.reach()
        report = start.application.health.report("models")
        assert (report.state, "nobody/knows-this" in report.detail) == (State.FAILED, True)
        assert not start.readiness.reached.is_set()


async def test_documents_that_are_missing_are_in_the_health(settings, models):
    async with starting(settings, models) as start:
        with pytest.raises(DocumentError):
            await start.readiness.reach()
        report = start.application.health.report("index")
        assert (report.state, str(settings.knowledge.folder) in report.detail) == (State.FAILED, True)
        assert not start.readiness.reached.is_set()


async def test_a_bot_that_is_ready_follows_its_folder(settings, models, documents):
    async with starting(settings, models) as start:
        keeping = asyncio.create_task(start.readiness.keep())
        await start.readiness.reached.wait()
        (documents / "new.md").write_text("# New\n\nClean the grinder.\n", encoding="utf-8")
        async with asyncio.timeout(60):
            while await start.passages() < 2:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.05)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert start.refreshed == [("ready", "starting")]
