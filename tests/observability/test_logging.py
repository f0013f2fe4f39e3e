"""Log lines: one a question, no text of a user, no secret, whoever writes them and however hard they try."""

import base64
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from bot.core.settings import LogSettings, Settings
from bot.observability.logs import configure_logging
from bot.observability.redaction import MASK, Redaction

TELEGRAM = "7654321098:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9"
DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
HTTP = 'a "very" long/secret & mine ü'  # needs escaping in every way of writing
OPENAI = "sk-proj-4f8dJ2kLmN0pQrStUvWx"
SECRETS = {"telegram": TELEGRAM, "discord": DISCORD, "http": HTTP, "openai": OPENAI}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

Log = structlog.stdlib.BoundLogger


@contextmanager
def logging_to(stream: io.StringIO, form: Any, secrets: Collection[str]) -> Iterator[None]:
    """Logging as the program sets it up, with this for standard error."""
    root, ours, before = logging.getLogger(), logging.getLogger("bot"), structlog.get_config()
    handlers, levels = root.handlers[:], (root.level, ours.level)
    hooks, error = (sys.excepthook, threading.excepthook), sys.stderr
    sys.stderr = stream
    try:
        configure_logging(LogSettings(level="debug", format=form), quiet=False, secrets=secrets)
        yield
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        (sys.excepthook, threading.excepthook), sys.stderr = hooks, error


@pytest.fixture(params=["console", "json"])
def form(request) -> str:
    return request.param


@pytest.fixture
def written(form) -> Iterator[Callable[[], str]]:
    """The text on standard error so far."""
    stream = io.StringIO()
    with logging_to(stream, form, SECRETS.values()):
        yield stream.getvalue


def log() -> Log:
    return structlog.stdlib.get_logger("bot.attack")


def raised(secret: str) -> None:
    try:
        raise ConnectionError(f"https://api.telegram.org/bot{secret}/getMe failed", {"token": secret})
    except ConnectionError as cause:
        raise RuntimeError(f"while asking with {secret!r}") from cause


def in_exception(secret: str) -> None:
    try:
        raised(secret)
    except RuntimeError:
        log().exception("failed", secret=secret)


def of_library(secret: str) -> None:
    try:
        raised(secret)
    except RuntimeError:
        logging.getLogger("discord.http").exception("%s responded with 429", f"/webhooks/1/{secret}")


def crashed(secret: str) -> None:
    try:
        raised(secret)
    except RuntimeError:
        sys.excepthook(*sys.exc_info())


def crashed_thread(secret: str) -> None:
    thread = threading.Thread(target=raised, args=(secret,))
    thread.start()
    thread.join()


ATTACKS: dict[str, Callable[[str], object]] = {
    "message": lambda secret: log().info(f"logging in with {secret}."),
    "message of a library": lambda secret: logging.getLogger("discord.client").info("token: %s", secret),
    "value": lambda secret: log().info("x", value=secret),
    "key": lambda secret: log().info("x", **{secret: 1}),
    "nested": lambda secret: log().info("x", value={"a": [{"b": (secret, {secret: secret})}]}),
    "bytes": lambda secret: log().info("x", value=secret.encode()),
    "object": lambda secret: log().info("x", value=ValueError(secret)),
    "url": lambda secret: log().info(
        f"GET https://user:{quote(secret, safe='')}@example.org/?token={quote(secret)}&a=b"
    ),
    "url of Telegram": lambda secret: logging.getLogger("lib.telegram").warning("POST /bot%s/getMe", secret),
    "header": lambda secret: logging.getLogger("lib").info("%r", {"Authorization": f"Bot {secret}", "a": "b"}),
    "json": lambda secret: logging.getLogger("lib").info(json.dumps({"d": {"token": secret}})),
    "json in json": lambda secret: logging.getLogger("lib").info(json.dumps({"d": json.dumps({"token": secret})})),
    "exception": in_exception,
    "exception of a library": of_library,
    "stack": lambda secret: log().info("x", stack_info=True, at=secret),
    "crash": crashed,
    "crash of a thread": crashed_thread,
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_of_the_settings_gets_into_the_log(written, kind, attack):
    """In none of the forms that it may take on the way."""
    secret = SECRETS[kind]
    ATTACKS[attack](secret)
    told = written()
    assert told.strip()
    for form in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        quote(secret, safe=""),
        repr(secret)[1:-1],
    ):
        assert form not in told


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["telegram", "discord", "openai"])
def test_what_looks_like_a_token_is_taken_out_though_nobody_has_named_it(form, kind, attack):
    """The token of another bot, say, or the one before."""
    stream, secret = io.StringIO(), SECRETS[kind].swapcase()
    with logging_to(stream, form, ()):
        ATTACKS[attack](secret)
    assert MASK in stream.getvalue()
    assert secret not in stream.getvalue()
    assert quote(secret, safe="") not in stream.getvalue()


def test_a_line_that_cannot_be_made_is_said_without_what_was_in_it(written):
    """The standard handler would show its arguments."""
    handler = next(
        handler for handler in logging.getLogger().handlers if type(handler).__module__ == "bot.observability.logs"
    )
    handler.handle(logging.LogRecord("lib", logging.INFO, "lib.py", 7, "%d", (TELEGRAM,), None))
    assert written() == "a log line of lib can't be shown (lib.py:7)\n"


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {JWT}",
        "authorization: Basic " + base64.b64encode(b"user:a long password").decode(),
        "POST https://discord.com/api/v10/webhooks/123/aW50ZXJhY3Rpb246SECRET/messages/@original",
        "POST /api/v10/interactions/123/aW50ZXJhY3Rpb246SECRET/callback?with_response=1",
        "redis://user:SECRETSECRET@host/0",
        "GET /x?access_token=SECRETSECRET&b=c",
        "GET /x?a=b&key=SECRETSECRET",
        '{"op": 2, "d": {"token": "SECRETSECRET", "v": 1}}',
        "{'X-Telegram-Bot-Api-Secret-Token': 'SECRETSECRET'}",
        "X-Api-Key: SECRET1",
        "api_key=SECRETSECRET",
        "hf_SECRETSECRETSECRET",
    ],
)
def test_what_stands_where_a_secret_stands_is_taken_out(line):
    """And the rest of the line stays."""
    told = Redaction().redacted(line)
    assert MASK in told
    assert not any(part in told for part in ("SECRET", JWT, "dXNlcjph"))
    assert all(part in line for part in told.split(MASK))


@pytest.mark.parametrize(
    "line",
    [
        "discord.token: the token was refused. Copy it again: Developer Portal > your application > Bot > Reset Token",
        '{"reference": "3f9c01ab", "platform": "http", "outcome": "answered", "waited_ms": 0.1, "tokens": 12}',
        "index renewed changed=3 removed=0 embedded=12 passages=322 seconds=1.5",
        "bearer of good news: basic questions are answered at 2026-11-21T12:00:00.123456Z",
        "set http.token (openssl rand -hex 32 makes one), or listen on 127.0.0.1 only: http.host",
        'File "/srv/bot/adapters/telegram/adapter.py", line 172, in _connect',
        "sentence-transformers/all-MiniLM-L6-v2 bfloat16 1.2.3 a.b.c https://example.org:8080/a?b=c",
    ],
)
def test_what_is_no_secret_stays(line):
    """Messages with the fix, above all."""
    assert Redaction(SECRETS.values()).redacted(line) == line


@pytest.mark.parametrize("form", ["json"])
def test_a_line_of_json_is_still_json(written):
    """With the mask in the place of the secret."""
    log().info("x", value=HTTP, other="y")
    assert json.loads(written()).items() >= {"value": MASK, "other": "y", "event": "x"}.items()


@pytest.mark.parametrize(
    "library", ["discord.gateway", "telegram.Bot", "httpx", "httpcore", "openai._base_client", "uvicorn"]
)
def test_what_libraries_say_for_debugging_is_not_logged(written, library):
    """There they write what people have said; our own lines for debugging are there."""
    logging.getLogger(library).debug("WebSocket Event: {'content': 'my private question'}")
    log().debug("ours")
    assert "private" not in written()
    assert "ours" in written()


def test_the_secrets_are_all_settings_that_are_none_of_anybodys_business():
    """A new setting with a secret is among them by itself."""
    settings = Settings(
        discord={"token": DISCORD},
        telegram={"token": TELEGRAM},
        http={"token": "h" * 16},
        sources=[{"name": "a", "kind": "git", "url": "https://me:in-the-address@git.example.org/a"}],
    )
    assert {DISCORD, TELEGRAM, "h" * 16, "in-the-address"} <= set(settings.secrets)
    assert settings.sources[0].shown_url == "https://git.example.org/a"
    assert "" not in settings.secrets
