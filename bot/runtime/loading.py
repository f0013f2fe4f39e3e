"""Loads models in the background, each in the thread of the worker that runs it afterwards."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import structlog

from bot.core.errors import BotError
from bot.core.settings import Settings
from bot.engine.phrasing import Phraser
from bot.inference.encoder import NO_MODEL, WordEncoder, load_encoder
from bot.inference.generator import GenerationWorker, Generator, LocalModel, load_model
from bot.inference.remote import DailyBudget, RemoteGenerator
from bot.inference.span_model import load_span_model
from bot.inference.threads import loaded_worker
from bot.inference.tuned import chosen
from bot.inference.workers import InferenceWorker, Models
from bot.observability.health import Component

_log = structlog.stdlib.get_logger(__name__)


def load_models(settings: Settings) -> Models:
    """Load the models that the settings name. Blocking. Raises WeightsError."""
    encoder = WordEncoder() if settings.encoder.model == NO_MODEL else load_encoder(settings.encoder, settings.models)
    return Models(encoder, load_span_model(settings.reader, settings.models))


@asynccontextmanager
async def open_worker(settings: Settings, models: Models | None) -> AsyncIterator[InferenceWorker[Models]]:
    """Yield a worker, which loads the models of the settings or has the given ones."""
    load = partial(load_models, settings) if models is None else lambda: models
    worker = InferenceWorker("inference", load, capacity=2 * settings.queue.capacity)
    try:
        yield worker
    finally:
        await worker.close()


async def open_generator(settings: Settings, pause: Callable[[], None] = lambda: None) -> Generator:
    """Load the generator that the settings name, local unless they say otherwise; `pause` is for GenerationWorker. Raises
    BotError."""
    if settings.generator.provider == "openai":
        return await asyncio.to_thread(_remote_generator, settings)
    parallel, capacity = settings.generator.parallel, settings.queue.capacity
    load = partial(_load_chosen_model, settings)
    return await loaded_worker(
        GenerationWorker("generation", load, side_by_side=parallel, capacity=capacity, pause=pause)
    )


def _remote_generator(settings: Settings) -> RemoteGenerator:
    budget = DailyBudget(settings.storage.folder / "tokens.json", settings.generator.tokens_per_day)
    return RemoteGenerator(settings.generator, budget)


def _load_chosen_model(settings: Settings) -> LocalModel:
    choice = chosen(settings)
    model = load_model(choice.settings, settings.models, choice.name)
    if choice.warning:
        model.description["warning"] = choice.warning
        _log.warning("see to the tuned model", reason=choice.warning)
    return model


@asynccontextmanager
async def load_generator(
    phraser: Phraser, settings: Settings, component: Component, pause: Callable[[], None]
) -> AsyncIterator[asyncio.Event]:
    """Load the generator in the background, let the phraser use it, and close it afterwards.

    The event is set as soon as it is known whether there is a generator.
    """
    loaded = asyncio.Event()
    async with AsyncExitStack() as stack:

        async def load() -> None:
            try:
                generator = await open_generator(settings, pause)
            except BotError as error:
                _do_without(phraser, settings, component, error)
            else:
                stack.push_async_callback(generator.close)
                _use(phraser, generator, component)
            finally:
                loaded.set()

        component.starting(f"{settings.generator.model} is being loaded; the documents are quoted meanwhile")
        loading = asyncio.create_task(load(), name="load-generator")
        try:
            yield loaded
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading


def _use(phraser: Phraser, generator: Generator, component: Component) -> None:
    gc.freeze()  # as after loading the other models
    detail = ". ".join(filter(None, (generator.name, str(generator.description.get("warning", "")))))

    def report(problem: str) -> None:
        """Report how the last draft went."""
        if problem:
            component.degraded(f"{problem}; the documents are quoted instead")
        else:
            component.ready(detail)

    phraser.use(generator, report)
    component.ready(detail)
    _log.info("generator loaded", **generator.description)


def _do_without(phraser: Phraser, settings: Settings, component: Component, error: BotError) -> None:
    component.failed(f"{error} The documents are quoted.")
    phraser.do_without("the model could not be loaded")
    _log.warning("no generator: the documents are quoted", model=settings.generator.model, error=str(error))
