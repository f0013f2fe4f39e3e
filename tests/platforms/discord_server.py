"""A local Discord over real sockets, small but strict: the REST API and the gateway as discord.py uses them.

It keeps guilds, channels, messages and interactions, and enforces the rules that cost bots their users: three seconds to
respond, fifteen minutes of a token, once only, 2000 units, no content without the intent. What Discord would refuse is
noted in `violations`, by the published description too where that is at hand. Faults come on demand.

Each part stands on the one before: discord_chats, discord_events, discord_messages, discord_interactions, discord_people
and this module, the REST API. The local Telegram has the same parts.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.platforms.discord_chats import TOKEN, Json
from tests.platforms.discord_description import discord_spec
from tests.platforms.discord_interactions import Interaction
from tests.platforms.discord_messages import Refused, Request
from tests.platforms.discord_people import People

__all__ = ["TOKEN", "DiscordServer", "Interaction", "Json"]
_API = "/api/v10"


async def _at_once(_call: str) -> None:
    """Holds back no call."""


class DiscordServer(People):
    """Use `async with DiscordServer.running() as server`."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []
        self.strict = True  # whether the published description is asked, which takes some milliseconds a call
        self.requests: list[Request] = []
        self.syncs = 0
        self.commands: list[Json] = []
        self.closed_dms: set[str] = set()  # users
        self.latency = 0.0  # seconds
        self.hold: Callable[[str], Awaitable[None]] = _at_once  # "METHOD /path", before a call is done and after it
        self.faults: deque[tuple[Callable[[str, str], bool], Callable[[], BaseException]]] = deque()
        # Of calls that are carried out, but whose connection breaks before the answer.
        self.lost_answers: deque[Callable[[str, str], bool]] = deque()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> "AsyncIterator[DiscordServer]":
        server = cls()
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/gw/", server._gateway)
        app.router.add_get("/gw", server._gateway)
        app.router.add_get("/files/{id}/{name}", server._file)
        app.router.add_route("*", _API + "/{path:.*}", server._rest)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server._port = runner.addresses[0][1]
        try:
            yield server
        finally:
            for socket in list(server._sockets):
                await socket.close()
            await runner.cleanup()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._port}{_API}"

    def count(self, method: str, ending: str) -> int:
        return sum(request.method == method and request.path.endswith(ending) for request in self.requests)

    # --- faults

    def fail(
        self, method: str, ending: str, *, status: int = 500, times: int = 1, code: int = 0, **fields: Any
    ) -> None:
        """The next calls of this kind are refused like this."""
        for _ in range(times):
            self.faults.append(
                (lambda m, p: m == method and p.endswith(ending), lambda: Refused(status, code, **fields))
            )

    def lose_answer(self, method: str, ending: str) -> None:
        """The next call of this kind is carried out, but its answer never arrives."""
        self.lost_answers.append(lambda m, p: m == method and p.endswith(ending))

    # --- calls

    async def _rest(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        body, files = await _body_of(request)
        call = Request(request.method, path, body, time.monotonic(), files=files)
        self.requests.append(call)
        await asyncio.sleep(self.latency)
        await self.hold(f"{call.method} {call.path}")
        headers: dict[str, str] = {}
        try:
            self._fail_if_asked_to(call)
            await self._check(call, request)
            result = await self._handle(call, request)
            call.status = 204 if result is None else 200
        except Refused as refused:
            call.status, result = refused.status, refused.body
            if refused.status == 429:
                headers = {"Via": "1.1 google", "Retry-After": str(refused.body["retry_after"])}
        self._changed.set()
        content = json.dumps(result).encode()  # what changes from now on isn't in it
        await self.hold(f"{call.method} {call.path}")
        for lost in list(self.lost_answers):
            if lost(call.method, call.path):
                self.lost_answers.remove(lost)
                assert request.transport is not None
                request.transport.abort()
        if result is None:
            return web.Response(status=204)
        return web.Response(status=call.status, body=content, content_type="application/json", headers=headers)

    def _fail_if_asked_to(self, call: Request) -> None:
        for rule in list(self.faults):
            if rule[0](call.method, call.path):
                self.faults.remove(rule)
                raise rule[1]()

    async def _check(self, call: Request, request: web.Request) -> None:
        by_token = call.path.startswith(("/interactions/", "/webhooks/"))
        call.me = self.bots.get(request.headers.get("Authorization", "").removeprefix("Bot "), {})
        if not by_token and not call.me:
            raise Refused(401)
        spec = discord_spec() if self.strict else None
        if spec is not None:
            problems = spec.problems(call.method, call.path, call.body)
            # That of all commands takes longer than a callback may.
            self.violations += await asyncio.to_thread(list, problems) if isinstance(call.body, list) else problems
        for said in _messages_in(call):
            units = len((said.get("content") or "").encode("utf-16-le")) // 2
            if units > 2000:
                self.violations.append(f"{call.path}: {units} units of content")
                raise Refused(400, 50035)
            if said.get("content") and said.get("allowed_mentions", {}).get("parse") != []:
                self.violations.append(f"{call.path}: mentions are not switched off")
            updates = call.path.endswith("/callback") and call.body["type"] == 7
            if not said.get("content") and call.method == "POST" and not call.files and not updates:
                raise Refused(400, 50006)

    async def _handle(self, call: Request, request: web.Request) -> Any:
        """The result of a call, None for 204."""
        match (call.method, *call.path.strip("/").split("/")):
            case ("GET", "users", "@me"):
                return call.me
            case ("GET", "oauth2", "applications", "@me"):
                return self._application()
            case ("GET", "users", "@me", "guilds"):
                fields = {"icon": None, "owner": False, "permissions": "0", "features": []}
                return [{"id": guild["id"], "name": guild["name"], **fields} for guild in self.guilds.values()]
            case ("GET", "guilds", guild):
                return {key: value for key, value in self.guilds[guild].items() if key not in ("channels", "members")}
            case ("GET", "guilds", guild, "channels"):
                return self.guilds[guild]["channels"]
            case ("GET", "guilds", guild, "roles"):
                if guild not in self.guilds:
                    raise Refused(404, 10004)
                return self.guilds[guild]["roles"]
            case ("GET", "guilds", guild, "threads", "active"):
                return self._active_threads(guild)
            case ("GET", "guilds", guild, "members", person):
                for member in self.guilds[guild]["members"]:
                    if member["user"]["id"] == person:
                        return member
                raise Refused(404, 10007)
            case ("GET", "gateway", "bot"):
                limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
                return {"url": self.gateway, "shards": 2, "session_start_limit": limit}
            case ("PUT", "applications", application, "commands"):
                self.syncs += 1
                extra = {
                    "application_id": application,
                    "version": "1",
                    "description": "",
                    "default_member_permissions": None,
                }
                self.commands = [extra | {"type": 1} | command | {"id": self._id()} for command in call.body]
                return self.commands
            case ("POST", "users", "@me", "channels"):
                if call.body["recipient_id"] in self.closed_dms or str(call.body["recipient_id"]) in self.closed_dms:
                    raise Refused(403, 50007)
                return self._direct_of(str(call.body["recipient_id"]))
            case ("POST", "channels", channel, "messages"):
                return await self._post_message(channel, call)
            case ("GET", "channels", channel, "messages"):
                return self._history(channel, request, call.me)
            case ("GET", "channels", channel, "messages", message):
                return self._as_seen(self._found(channel, message), call.me)
            case ("PATCH", "channels", channel, "messages", message):
                return await self._edit_message(self._found(channel, message), call)
            case ("DELETE", "channels", channel, "messages", message):
                await self.delete(self._found(channel, message))
                return None
            case ("GET", "channels", channel):
                self._allowed(channel)
                return self.channels[channel]
            case ("PATCH", "channels", channel):
                return await self._change_thread(channel, call.body)
            case ("POST", "channels", channel, "typing"):
                self._allowed(channel)
                return None
            case ("PUT", "channels", channel, "messages", message, "reactions", emoji, "@me"):
                self.react(self._found(channel, message), emoji, call.me)
                return None
            case ("GET", "channels", channel, "messages", message, "reactions", emoji):
                return self._people_who_reacted(channel, message, emoji, request)
            case ("GET", "channels", channel, "threads", "archived", "public"):
                return self._archived_threads(channel, request)
            case ("POST", "channels", channel, "messages", message, "threads"):
                self._found(channel, message)
                if message in self.channels:
                    raise Refused(400, 160004)
                return await self._open_thread(channel, message, call.body["name"], call.me["id"])
            case ("POST", "interactions", interaction, token, "callback"):
                return await self._respond(interaction, token, call)
            case ("POST", "webhooks", _, token):
                return await self._follow_up(self._responded(token), call)
            case ("PATCH", "webhooks", _, token, "messages", message):
                return await self._edit_response(self._responded(token), message.replace("%40", "@"), call)
            case ("DELETE", "webhooks", _, token, "messages", message):
                await self._delete_response(self._responded(token), message.replace("%40", "@"))
                return None
        self.violations.append(f"{call.method} {call.path}: not known here")
        raise Refused(404, 0)

    def _application(self) -> Json:
        return {
            "id": self.application,
            "name": "bot",
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": self.owner,
            "verify_key": "00",
            "team": None,
            "flags": 0,
        }

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])


def _messages_in(call: Request) -> list[Json]:
    """The messages that a call would make or change."""
    if not isinstance(call.body, dict):
        return []
    if call.path.endswith("/callback"):
        return [call.body["data"]] if call.body["type"] in (4, 7) and "data" in call.body else []
    if call.path.endswith("/messages") or call.path.startswith("/webhooks/") or call.method == "PATCH":
        return [call.body]
    return []


async def _body_of(request: web.Request) -> tuple[Any, dict[str, bytes]]:
    """The JSON of a request, and its files by name."""
    if not request.content_type.startswith("multipart/"):
        text = await request.text()
        return (json.loads(text) if text else None), {}
    body, files = None, {}
    async for part in await request.multipart():
        content = await part.read(decode=True)
        if part.name == "payload_json":
            body = json.loads(content)
        else:
            files[part.filename or part.name] = bytes(content)
    return body, files
