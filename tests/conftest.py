"""Fixtures for all tests: the real encoder, loaded once, and a watch on the event loop."""

import asyncio
import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from bot.core.settings import PLAIN_VARIABLES, EncoderSettings, ModelsSettings, ReaderSettings, Settings
from bot.inference.encoder import Encoder, load_encoder
from bot.inference.span_model import load_span_model
from bot.inference.workers import AsyncEncoder, InferenceWorker, Models
from tests import tiny_models
from tests.in_process import Commands
from tests.slowness import slowness

# The default draws tracebacks with all variables, which takes longer than any callback may.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
# A busy machine fails no property; every test has a timeout of its own.
hypothesis.settings.register_profile("here", deadline=None)
# For `make fuzz`: what it finds is kept in .hypothesis, and tried first by the next run of the tests.
hypothesis.settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("here")
# A callback that keeps the loop's thread computing for longer than this stalls every heartbeat.
_LONGEST_CALLBACK = 0.1  # seconds of CPU time, so that a busy machine fails no test; see `slowness` for a slow one


@pytest.fixture(autouse=True)
def loop_is_never_blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which one callback on the event loop computes for too long."""
    blocked: list[tuple[float, str]] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        run(handle)
        if (seconds := time.thread_time() - started) > _LONGEST_CALLBACK:
            blocked.append((seconds, f"{handle!r}"))

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    yield
    bound = _LONGEST_CALLBACK * slowness() if blocked else _LONGEST_CALLBACK
    longer = [f"{seconds * 1000:.0f} ms in {handle}" for seconds, handle in blocked if seconds > bound]
    assert not longer, f"the event loop was blocked: {longer}"


@pytest.fixture(autouse=True, scope="module")
def collected_before() -> None:
    """The collector would look through what earlier modules have imported and left in the middle of some callback."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def loggers_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger that is kept as it was at its first use would write where an earlier test wanted it to."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog, "configure", lambda **options: configure(**options | {"cache_logger_on_first_use": False})
    )


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("BOT_") or name in PLAIN_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setattr("bot.core.settings.erasing._erased", set())


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The real encoder with its real weights."""
    encoder = load_encoder(EncoderSettings(), ModelsSettings())
    gc.freeze()  # as the daemon does
    return encoder


@pytest.fixture(scope="session")
def models(encoder: Encoder) -> Models:
    """The real encoder and the reader that ships with the bot."""
    return Models(encoder, load_span_model(ReaderSettings(), ModelsSettings()))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a tiny language model of a kind, made once: `tiny("gpt2")`."""
    folder = tmp_path_factory.mktemp("tiny")

    def make(kind: str) -> str:
        if not (folder / kind).exists():
            tiny_models.KINDS[kind](folder / kind)
        return str(folder / kind)

    return make


@pytest.fixture(scope="session")
def copying(request: pytest.FixtureRequest) -> str:
    """The folder of the tiny model that answers with sentences of the passage. Trained once, until its recipe changes."""
    recipe = hashlib.sha256(Path(tiny_models.__file__).read_bytes()).hexdigest()[:12]
    cache: Path = request.config.cache.mkdir("tiny_models")  # type: ignore[union-attr]
    folder = cache / recipe
    if not folder.exists():
        tiny_models.copying(cache / f"{recipe}.new").rename(folder)
    return str(folder)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Models) -> Commands:
    """Runs a command of the program in the temporary folder and in this process."""
    return Commands(monkeypatch, tmp_path, models)


@pytest.fixture
async def async_encoder(encoder: Encoder):
    worker = InferenceWorker("inference", lambda: Models(encoder, None), capacity=64)
    await worker.loaded()
    yield AsyncEncoder(worker)
    await worker.close()


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder `knowledge` of files: `folder_of({"a.md": "text"})`."""

    def make(files: dict[str, str | bytes]) -> Path:
        folder = tmp_path / "knowledge"
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with the folders `knowledge` and `data` in a temporary place."""
    return Settings(knowledge={"folder": tmp_path / "knowledge"}, storage={"folder": tmp_path / "data"})
