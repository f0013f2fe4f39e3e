"""A local Bot API over real sockets, with people in chats: what python-telegram-bot needs, and how the service fails.

The test plays the people (`says`, `edits`, `presses`, `types_inline`, ...) and breaks the service (`break_next`, `limits`);
the bot connects through `base_url`. Every call is recorded in `calls`, and what the published description of the API says
against it in `violations`.

Each part stands on the one before: telegram_chats, telegram_events, telegram_messages, telegram_interactions,
telegram_people and this module, the HTTP API. The local Discord has the same parts.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.platforms import telegram_description
from tests.platforms.telegram_chats import ANONYMOUS_ADMIN, AS_CHANNEL, BOT, SERVICE, TOKEN, Chat, Json, if_any
from tests.platforms.telegram_markup import Refused
from tests.platforms.telegram_messages import Limits
from tests.platforms.telegram_people import People

__all__ = ["ANONYMOUS_ADMIN", "AS_CHANNEL", "BOT", "SERVICE", "TOKEN", "Chat", "Json", "Limits", "TelegramServer"]
_TEXT = {"text", "url", "secret_token", "file_id", "callback_query_id", "inline_query_id", "language_code", "caption"}


@dataclass(frozen=True)
class Call:
    method: str
    parameters: Json
    at: float  # time.monotonic()


@dataclass
class Fault:
    """How the next calls of a method fail.

    `kind`: a status such as "502" or "400:Bad Request: reason"; "429:3" (wait 3 seconds); "reset" (cut off before anything
    happened); "lost" (cut off after it happened); "hang" (never answered, nothing happens); "garbage" (HTML, not JSON).
    """

    kind: str
    times: float
    applies: Callable[[Json], bool]


async def _at_once(_method: str, _parameters: Json) -> None:
    """Holds back no call."""


class TelegramServer(People):
    """Use as an async context manager, once it is listening `base_url` and `file_url` are what the library takes."""

    def __init__(
        self,
        *,
        privacy: bool = True,
        limits: Limits | None = None,
        port: int = 0,
        bot: int = 123456,
        beside: "TelegramServer | None" = None,
    ) -> None:
        """`bot`: the id of the bot. Each bot has a token of its own. `beside`: the server of another bot in the same chats.

        Each of the two bots gets the messages of the other.
        """
        super().__init__(privacy=privacy, limits=limits, bot=bot, beside=beside)
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.commands: dict[tuple[str, str], list[Json]] = {}  # by scope and language
        self.on_done: Callable[[str, Json], None] = lambda _method, _parameters: None  # before the bot hears of it
        self.hold: Callable[[str, Json], Awaitable[None]] = _at_once  # before a call is done, and after it
        self._port = port
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._hanging = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.pick_up()
        return self

    async def pick_up(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def hang_up(self) -> None:
        """Be unreachable, until `pick_up`."""
        self.repair()
        if self._poller:
            self._poller.set()
        if self._runner:
            await self._runner.cleanup()

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hang_up()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        return f"{self.address}/bot"

    @property
    def file_url(self) -> str:
        return f"{self.address}/file/bot"

    def called(self, method: str) -> list[Json]:
        """The parameters of all calls of a method, oldest first."""
        return [call.parameters for call in self.calls if call.method == method]

    # --- faults

    def break_next(
        self, method: str, kind: str, times: float = 1, applies: Callable[[Json], bool] = lambda _: True
    ) -> None:
        """Let the next `times` calls of the method to which it applies fail; see Fault. `math.inf`: until `repair`."""
        self._faults[method].append(Fault(kind, times, applies))

    def repair(self) -> None:
        """End all faults; calls that hang are cut off."""
        self._faults.clear()
        self._hanging.set()
        self._hanging = asyncio.Event()

    def _next_fault(self, method: str, parameters: Json) -> str | None:
        for fault in self._faults[method]:
            if fault.times > 0 and fault.applies(parameters):
                fault.times -= 1
                return fault.kind
        return None

    async def _fail(self, request: web.Request, kind: str) -> web.StreamResponse:
        if kind == "hang":
            await self._hanging.wait()
            return _cut_off(request)
        if kind == "reset":
            return _cut_off(request)
        if kind == "garbage":
            return web.Response(text="<html>Bad gateway</html>", status=502, content_type="text/html")
        status, _, detail = kind.partition(":")
        if status == "429":
            return _refusal(Refused(429, f"Too Many Requests: retry after {detail}", retry_after=int(detail)))
        return _refusal(Refused(int(status), detail or "Internal Server Error"))

    # --- calls

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return _refusal(Refused(401, "Unauthorized"))
        try:
            parameters = await _parameters(request, method)
        except ConnectionResetError:  # the bot was killed while it spoke
            return _cut_off(request)
        self.calls.append(Call(method, parameters, time.monotonic()))
        self.violations += telegram_description.problems(method, parameters)
        await self.hold(method, parameters)
        fault = self._next_fault(method, parameters)
        if fault and fault != "lost":
            return await self._fail(request, fault)
        handler: Callable[[Json], Awaitable[Any]] | None = getattr(self, f"_do_{method}", None)
        if handler is None:
            return _refusal(Refused(404, "Not Found: method not found"))
        try:
            result = await handler(parameters)
        except Refused as refused:
            return _refusal(refused)
        self.on_done(method, parameters)
        await self.hold(method, parameters)
        if fault == "lost":
            return _cut_off(request)
        return web.json_response({"ok": True, "result": result})

    async def _download(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        found = [content for name, content in self._files.values() if name == path]
        if request.match_info["token"] != self.token or not found:
            raise web.HTTPNotFound
        return web.Response(body=found[0])

    async def _do_getMe(self, _: Json) -> Json:  # noqa: N802
        return {
            **self.me,
            "can_join_groups": True,
            "can_read_all_group_messages": not self.privacy,
            "supports_inline_queries": True,
        }

    async def _do_setMyCommands(self, wanted: Json) -> bool:  # noqa: N802
        for command in wanted["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands[_scope(wanted)] = wanted["commands"]
        return True

    async def _do_getMyCommands(self, wanted: Json) -> list[Json]:  # noqa: N802
        return self.commands.get(_scope(wanted), [])

    async def _do_deleteMyCommands(self, wanted: Json) -> bool:  # noqa: N802
        self.commands.pop(_scope(wanted), None)
        return True


async def _parameters(request: web.Request, method: str) -> Json:
    """The parameters of a call with the types that the description gives them."""
    if request.content_type == "application/json":
        return dict(await request.json())
    types = telegram_description.parameter_types(method)
    posted = {**request.query, **await request.post()}
    return {name: _typed(name, value, types.get(name)) for name, value in posted.items()}


def _typed(name: str, value: Any, types: list[str] | None) -> Any:
    if not isinstance(value, str) or (name in _TEXT if types is None else types == ["String"]):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _scope(wanted: Json) -> tuple[str, str]:
    scope = wanted.get("scope", {"type": "default"})
    identity = f":{scope['chat_id']}" if "chat_id" in scope else ""
    return f"{scope['type']}{identity}", wanted.get("language_code", "")


def _refusal(refused: Refused) -> web.Response:
    body: Json = {"ok": False, "error_code": refused.code, "description": refused.description}
    return web.json_response(body | if_any("parameters", refused.parameters), status=refused.code)


def _cut_off(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()
