"""The program, with Discord turned to a local server: `python -m tests.platforms.serve API GATEWAY ENGINE run`.

Telegram is turned by its own setting, telegram.api_url; where Discord isn't served, API and GATEWAY are `-`.
ENGINE is `real`, or `echo` for one that repeats the question, where the way of a question is measured and not the models: it
starts at once. What it is asked goes through the inference thread all the same, and there "never return" never does. With
`loading` the models are never loaded, and with `generating` the generator isn't: their threads compute all the time.
"""

import sys
import time
from collections.abc import Sequence

import discord
import numpy as np
import yarl

from bot.cli import main
from bot.core.messages import Answer, Outcome, Progress, QueryVariant, Question, Stage, Update
from bot.engine.qa import QAEngine, new_reference
from bot.inference.workers import Models
from bot.runtime import loading

_THINKING = 0.005  # seconds
_LOADING = 0.2  # seconds, in which the platforms are served already


class EchoModel:
    """Stands for the encoder and for the reader, with the attributes that are used of them."""

    identity, window, dimension, by_meaning = "echo", 254, 4, True

    def __init__(self) -> None:
        self.description = {"model": "echo", "dtype_reason": "none"}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if any("never return" in text for text in texts):
            time.sleep(3600)
        time.sleep(_THINKING)
        return np.tile(np.array([1, 0, 0, 0], dtype=np.float32), (len(texts), 1))

    def read(self, tasks: Sequence[object]) -> list[list[object]]:
        return [[] for _ in tasks]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


async def _echo(engine: QAEngine, question: Question, progress: Progress = lambda _: None) -> Answer:
    progress(Update(Stage.SEARCHING))
    await engine._retriever.encode([QueryVariant(question.text)])
    return Answer(Outcome.ANSWERED, f"You asked: {question.text}", new_reference())


def _load(_settings: object) -> Models:
    time.sleep(_LOADING)
    return Models(EchoModel(), EchoModel())


def _never_load(*_settings: object) -> Models:
    weights = np.ones((300, 300))
    while True:
        weights @ weights


if __name__ == "__main__":
    _, api, gateway, engine, *arguments = sys.argv
    if api != "-":
        discord.http.Route.BASE = api
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    if engine != "real":
        QAEngine.answer = _echo
        loading.load_models = _never_load if engine == "loading" else _load
    if engine == "generating":
        loading.load_model = _never_load
    sys.argv[1:] = arguments
    main()
