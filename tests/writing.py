"""An application whose answers a local language model phrases, with a hand on that model between tokens and on its weights."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from bot.core.settings import GeneratorSettings, Settings
from bot.inference.generator import GeneratedText, GenerationWorker, LocalModel
from bot.inference.workers import Models
from bot.runtime.application import Application, open_application

BOILER = "The boiler weighs 62 kilograms. The boiler costs 42 euros."
FIRST_SENTENCE = "The boiler weighs 62 kilograms."
DOCUMENTS = {
    "boiler.md": f"# Boiler\n\n{BOILER}\n",
    "lamp.md": "# Lamp\n\nThe lamp is 35 metres long. The lamp opens at 17 o'clock.\n",
    "code.md": "# Restart\n\nTo restart the pump controller:\n\n```\npumpctl restart --all\n```\n",
}
# Its answer is both sentences.
ASKS_FOR_ALL = "What is known about the boiler?"


@asynccontextmanager
async def writing_application(
    settings: Settings, models: Models, model: str, *, loaded: bool = True, **generator: Any
) -> AsyncIterator[Application]:
    """The application over its folder of documents, with the generator as told; `loaded`: wait for that."""
    chosen = {"provider": "local", "model": model, "dtype": "float32", "passages": 1, "max_new_tokens": 60}
    wanted = settings.model_copy(
        update={
            "generator": GeneratorSettings(**chosen | generator),
            "answer": settings.answer.model_copy(update={"threshold": 0.2}),
        }
    )
    async with open_application(wanted, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        if loaded:
            await application.answering.generator_loaded.wait()
        yield application


def generation_worker_of(application: Application) -> GenerationWorker:
    phraser = application.answering.phraser
    worker = phraser and phraser.generator
    assert isinstance(worker, GenerationWorker)
    return worker


class Held:
    """A model that hangs when it has written so many tokens, until it is released."""

    def __init__(self, model: LocalModel, after: int) -> None:
        self.texts: list[GeneratedText] = []  # that the model has begun
        self._released = threading.Event()
        self._tokens = iter(range(after))
        self._write = model.write
        model.write = self._hold  # type: ignore[method-assign]

    def release(self) -> None:
        self._released.set()

    def _hold(self, texts: Sequence[GeneratedText], _: object) -> None:
        self.texts += texts
        self._write(texts, lambda: next(self._tokens, None) is None and bool(self._released.wait(20)))


def held(application: Application, after: int = 0) -> Held:
    """Let the model hang when it has written so many tokens."""
    return Held(generation_worker_of(application).models, after)


async def writing_again(application: Application) -> None:
    """Wait until the model has ended what it writes and begun another text."""
    async with aclosing(generation_worker_of(application).stream("The")) as pieces:
        await anext(pieces)


def change_weights(folder: Path) -> None:
    """Slightly other numbers in the same places, as in another revision of a model."""
    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if safe.exists():
        save_file({name: tensor * 1.001 for name, tensor in load_file(safe).items()}, safe, metadata={"format": "pt"})
    else:
        torch.save({name: tensor * 1.001 for name, tensor in torch.load(pickled).items()}, pickled)
