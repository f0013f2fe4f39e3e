"""A local Discord over real sockets, small but strict: the REST API and the gateway as discord.py uses them.

It keeps guilds, channels, messages and interactions, and enforces the rules that cost bots their users: three seconds to
respond, fifteen minutes of a token, once only, 2000 units, no content without the intent. What Discord would refuse is
noted in `violations`, by the published description too where that is at hand. Faults come on demand.
"""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.platforms.specs import discord_spec

Json = dict[str, Any]
TOKEN = "local.token.for-tests"  # noqa: S105
_EPOCH = 1_420_070_400_000
_MESSAGE_CONTENT = 1 << 15
_EPHEMERAL = 64
_TO_RESPOND = 3.0  # seconds
_API = "/api/v10"


@dataclass
class Request:
    """One call of the REST API."""

    method: str
    path: str
    body: Any
    at: float
    status: int = 0
    me: Json = field(default_factory=dict)  # the bot that calls; empty where a token of an interaction stands for it
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Interaction:
    """Something that a user has done, and what the bot made of it."""

    id: str
    token: str
    kind: int
    channel: str
    user: Json
    created: float
    responded: float | None = None  # seconds after it was created
    response: Json | None = None  # the callback
    message: Json | None = None  # @original
    pressed: Json | None = None  # the message whose button this is
    followups: list[Json] = field(default_factory=list)
    expired: bool = False

    @property
    def ephemeral(self) -> bool:
        data = (self.response or {}).get("data") or {}
        return bool(data.get("flags", 0) & _EPHEMERAL)

    @property
    def waiting(self) -> bool:
        """The user still reads that the bot is thinking."""
        return self.response is not None and self.response["type"] == 5 and self.message is None


async def _at_once(_call: str) -> None:
    """Holds back no call."""


@dataclass(eq=False)
class _Session:
    """A session of one shard of a bot, with the numbered events that it gets again when it resumes."""

    me: Json
    shard: int
    shards: int
    sequence: int = 1
    log: list[tuple[int, str, Json]] = field(default_factory=list)

    def serves(self, guild: str | None) -> bool:
        """Whether this is the shard of a server. The first shard has everything that is in none."""
        return (int(guild) >> 22) % self.shards == self.shard if guild else self.shard == 0


class Fault(Exception):
    """An answer of the server that a test has asked for."""

    def __init__(self, status: int, code: int = 0, **fields: Any) -> None:
        self.status = status
        self.body = {"code": code, "message": "as asked for", **fields}


class DiscordServer:
    """Use `async with DiscordServer.running() as server`."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.strict = True  # whether the published description is asked, which takes some milliseconds a call
        self.requests: list[Request] = []
        self.identifies = 0
        self.resumes = 0
        self.syncs = 0
        self.commands: list[Json] = []
        self.messages: dict[str, list[Json]] = defaultdict(list)  # by channel, oldest first
        self.channels: dict[str, Json] = {}
        self.guilds: dict[str, Json] = {}
        self.interactions: dict[str, Interaction] = {}  # by token
        self.content_allowed = True  # the switch in the developer portal
        self.gateway_down = False
        self.gateway_hangs_up = False
        self.dialled = 0
        self.fatal_close: int | None = None  # answer to the next IDENTIFY
        self.forbidden: set[str] = set()  # channels
        self.files_forbidden: set[str] = set()  # channels
        self.closed_dms: set[str] = set()  # users
        self.manages_threads = False
        self.latency = 0.0  # seconds
        self.hold: Callable[[str], Awaitable[None]] = _at_once  # "METHOD /path", before a call is done and after it
        self.faults: deque[tuple[Callable[[str, str], bool], Callable[[], BaseException]]] = deque()
        self.lost_answers: deque[Callable[[str, str], bool]] = (
            deque()
        )  # done, but the connection breaks before the answer
        self.message_limit: tuple[int, float] | None = None  # so many a channel in so many seconds
        self.heartbeat_interval = 41.25  # seconds
        self.files: dict[str, bytes] = {}
        self.owner = self._user("owner")
        self.me = {**self._user("bot"), "bot": True}
        self.bots = {TOKEN: self.me}  # by token
        self.application = self._id()
        self._nonces: dict[tuple[str, str], Json] = {}
        self._sent_times: dict[str, deque[float]] = defaultdict(deque)
        self._changed = asyncio.Event()
        self._sockets: dict[web.WebSocketResponse, _Session] = {}
        self._sessions: dict[str, _Session] = {}  # that can be resumed, by id: the latest of each shard
        self._intents: dict[str, int] = {}  # by bot
        self._port = 0

    # --- running

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

    @property
    def gateway(self) -> str:
        return f"ws://127.0.0.1:{self._port}/gw/"

    async def until(self, condition: Callable[[], Any], seconds: float = 10) -> Any:
        """Wait for something to be true, looked at whenever something has happened here; what it gave."""
        async with asyncio.timeout(seconds):
            while not (result := condition()):
                self._changed.clear()
                with suppress(TimeoutError):  # the condition may hang on something else
                    async with asyncio.timeout(0.05):
                        await self._changed.wait()
            return result

    async def connected(self, shards: int = 1) -> None:
        """Wait until so many shards are connected."""
        await self.until(lambda: len(self._sockets) >= shards)

    # --- what exists

    def guild(self, name: str = "server") -> Json:
        guild_id = self._id()
        everyone = {"id": guild_id, "name": "@everyone", "permissions": _ALL_BUT_ADMINISTRATOR, "position": 0, **_ROLE}
        role = {"id": self._id(), "name": "bot", "permissions": "0", "position": 1, **_ROLE}
        role |= {"managed": True, "tags": {"bot_id": self.me["id"]}}
        member = {"user": self.me, "roles": [role["id"]], "joined_at": _now(), "deaf": False, "mute": False, "flags": 0}
        guild = {"id": guild_id, "name": name, "owner_id": self.owner["id"], "roles": [everyone, role], "emojis": []}
        guild |= {"features": [], "members": [member], "member_count": 2, "threads": [], "channels": [], "stickers": []}
        self.guilds[guild_id] = guild
        return guild

    def channel(self, guild: Json, name: str = "general", kind: int = 0) -> str:
        """A text channel; `kind` 15 is a forum."""
        channel = {"id": self._id(), "type": kind, "name": name, "guild_id": guild["id"], "position": 0}
        channel |= {"permission_overwrites": [], "last_message_id": None, "parent_id": None}
        if kind == 15:
            channel |= {"available_tags": [], "default_reaction_emoji": None, "default_sort_order": None, "topic": None}
        guild["channels"].append(channel)
        self.channels[channel["id"]] = channel
        return str(channel["id"])

    def another_bot(self, token: str) -> Json:
        """A second bot, which is a member of the servers that there are. It has no commands and no direct conversations."""
        bot = self.user("another", bot=True)
        self.bots[token] = bot
        for guild in self.guilds.values():
            guild["members"].append(guild["members"][0] | {"user": bot, "roles": []})
        return bot

    def deny(self, channel: str, permissions: int) -> None:
        """Take permissions away from everybody in a channel."""
        denied = {"id": self.channels[channel]["guild_id"], "type": 0, "allow": "0", "deny": str(permissions)}
        self.channels[channel]["permission_overwrites"] = [denied] if permissions else []

    def direct(self, user: Json) -> str:
        """The direct conversation with somebody."""
        for channel in self.channels.values():
            if channel["type"] == 1 and channel["recipients"][0]["id"] == user["id"]:
                return str(channel["id"])
        channel = {"id": self._id(), "type": 1, "recipients": [user], "last_message_id": None, "flags": 0}
        self.channels[channel["id"]] = channel
        return str(channel["id"])

    def user(self, name: str = "someone", *, bot: bool = False) -> Json:
        return {**self._user(name), "bot": bot}

    def from_bot(self, channel: str) -> list[Json]:
        """The messages of the bot in a channel as they are now, oldest first."""
        return [message for message in self.messages[channel] if message["author"]["id"] == self.me["id"]]

    def count(self, method: str, ending: str) -> int:
        return sum(request.method == method and request.path.endswith(ending) for request in self.requests)

    # --- what people do

    async def say(
        self,
        channel: str,
        text: str,
        author: Json,
        *,
        reply_to: Json | None = None,
        mentions: tuple[Json, ...] = (),
        twice: bool = False,
        event: bool = True,
        **fields: Any,
    ) -> Json:
        """Somebody writes a message; `@bot` in it mentions the bot. `event`: whether the bot is told."""
        if "@bot" in text:
            text, mentions = text.replace("@bot", f"<@{self.me['id']}>"), (*mentions, self.me)
        message = self._message(channel, author, text)
        message["mentions"] = list(mentions)
        if reply_to is not None:
            message |= {"type": 19, "referenced_message": reply_to}
            message["message_reference"] = {"message_id": reply_to["id"], "channel_id": channel, "type": 0}
        message |= fields
        self._keep(channel, message)
        for _ in range((1 + twice) * event):
            await self.dispatch("MESSAGE_CREATE", message)
        return message

    async def post(self, forum: str, title: str, text: str, author: Json) -> Json:
        """Somebody opens a post in a forum: a thread whose first message has its id."""
        thread = await self._open_thread(forum, self._id(), title, author["id"])
        message = self._message(thread["id"], author, text) | {"id": thread["id"]}
        self._keep(thread["id"], message)
        await self.dispatch("MESSAGE_CREATE", message)
        return message

    async def edit(self, message: Json, text: str) -> None:
        message |= {"content": text.replace("@bot", f"<@{self.me['id']}>"), "edited_timestamp": _now()}
        await self.dispatch("MESSAGE_UPDATE", message)

    async def delete(self, message: Json) -> None:
        channel = message["channel_id"]
        self.messages[channel] = [other for other in self.messages[channel] if other["id"] != message["id"]]
        where = {"guild_id": guild} if (guild := self.channels[channel].get("guild_id")) else {}
        await self.dispatch("MESSAGE_DELETE", {"id": message["id"], "channel_id": channel, **where})

    async def slash(
        self, channel: str, user: Json, name: str, options: Json | None = None, *, twice: bool = False, **data: Any
    ) -> Interaction:
        """Somebody uses a command; `name` may have a subcommand behind a blank."""
        command, _, sub = name.partition(" ")
        given = [{"name": key, "value": value, "type": _option_type(value)} for key, value in (options or {}).items()]
        for option in given:
            if option["name"] == "file":
                option["type"] = 11
        body = {"id": self._id(), "name": command, "type": 1, "options": given, **data}
        if sub:
            body["options"] = [{"name": sub, "type": 1, "options": given}]
        return await self._interact(channel, user, 2, body, twice=twice)

    async def menu(self, channel: str, user: Json, name: str, message: Json) -> Interaction:
        """Somebody uses a command on a message."""
        body = {"id": self._id(), "name": name, "type": 3, "target_id": message["id"]}
        return await self._interact(channel, user, 2, body | {"resolved": {"messages": {message["id"]: message}}})

    async def complete(self, channel: str, user: Json, name: str, option: str, typed: str) -> Interaction:
        """Somebody types the value of an option that is completed."""
        command, _, sub = name.partition(" ")
        given = [{"name": option, "value": typed, "type": 3, "focused": True}]
        body = {"id": self._id(), "name": command, "type": 1, "options": [{"name": sub, "type": 1, "options": given}]}
        return await self._interact(channel, user, 4, body)

    async def press(self, message: Json, label: str, user: Json, *, twice: bool = False) -> Interaction:
        """Somebody presses a button of a message."""
        buttons = [button for row in message["components"] for button in row["components"]]
        [custom_id] = [button["custom_id"] for button in buttons if button["label"] == label]
        body = {"custom_id": custom_id, "component_type": 2}
        return await self._interact(message["channel_id"], user, 3, body, message=message, twice=twice)

    async def submit(self, opened: Interaction, text: str) -> Interaction:
        """Somebody fills in the form that an interaction has opened."""
        assert opened.response is not None and opened.response["type"] == 9, opened.response
        form = opened.response["data"]
        field_ = next(iter(form["components"]))
        inner = field_["components"][0] if field_["type"] == 1 else field_["component"]
        value = {"type": 4, "custom_id": inner["custom_id"], "value": text}
        row = {"type": 1, "components": [value]} if field_["type"] == 1 else {"type": 18, "component": value}
        body = {"custom_id": form["custom_id"], "components": [row]}
        return await self._interact(opened.channel, opened.user, 5, body)

    def attach(self, name: str, content: bytes) -> Json:
        """A file for an option of a command: the resolved data of `slash`."""
        file_id = self._id()
        self.files[file_id] = content
        url = f"http://127.0.0.1:{self._port}/files/{file_id}/{name}"
        attachment = {"id": file_id, "filename": name, "size": len(content), "url": url, "proxy_url": url}
        return {"resolved": {"attachments": {file_id: attachment}}}

    # --- what goes wrong

    def fail(
        self, method: str, ending: str, *, status: int = 500, times: int = 1, code: int = 0, **fields: Any
    ) -> None:
        """The next calls of this kind are refused like this."""
        for _ in range(times):
            self.faults.append((lambda m, p: m == method and p.endswith(ending), lambda: Fault(status, code, **fields)))

    def lose_answer(self, method: str, ending: str) -> None:
        """The next call of this kind is carried out, but its answer never arrives."""
        self.lost_answers.append(lambda m, p: m == method and p.endswith(ending))

    async def drop_gateway(self, code: int | None = None, *, shard: int | None = None, resumable: bool = True) -> None:
        """Break the connection, or that of one shard: as a cable is pulled, or closed with a code.

        `resumable`: whether the session can be resumed.
        """
        if not resumable:
            self.forget_sessions()
        for socket, session in list(self._sockets.items()):
            if shard is not None and session.shard != shard:
                continue
            del self._sockets[socket]
            if code is not None:
                await socket.close(code=code)
            elif socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    async def ask_to_reconnect(self) -> None:
        await self._to_all({"op": 7, "d": None})

    def forget_sessions(self) -> None:
        """No session can be resumed any more."""
        self._sessions.clear()

    def forget_nonces(self) -> None:
        """Let messages be sent again with a nonce of before, as Discord does after some minutes."""
        self._nonces.clear()

    async def invalidate(self, *, resumable: bool) -> None:
        if not resumable:
            self.forget_sessions()
        await self._to_all({"op": 9, "d": resumable})

    async def change_roles(self, guild: Json, roles: list[str]) -> None:
        """The bot gets more roles. It is told this of itself without any intent."""
        member = guild["members"][0]
        member["roles"] = [*member["roles"], *roles]
        await self.dispatch("GUILD_MEMBER_UPDATE", member | {"guild_id": guild["id"], "nick": None, "avatar": None})

    async def archive(self, thread: str, *, locked: bool = False, archived: bool = True) -> None:
        """Somebody closes a thread, or locks it too."""
        self.channels[thread]["thread_metadata"] |= {"archived": archived, "locked": locked}
        await self.dispatch("THREAD_UPDATE", self.channels[thread])

    async def remove_channel(self, channel: str) -> None:
        data = self.channels.pop(channel)
        await self.dispatch("CHANNEL_DELETE", data)

    # --- gateway

    async def dispatch(self, event: str, data: Json) -> None:
        """Tell the shard that is concerned, now or when it resumes."""
        guild = data["id"] if event.startswith("GUILD_") and "guild_id" not in data else data.get("guild_id")
        told = {*self._sessions.values(), *self._sockets.values()}
        if event == "INTERACTION_CREATE" or guild is None:
            told = {session for session in told if session.me is self.me}
        for session in [session for session in told if session.serves(guild)]:
            session.sequence += 1
            session.log.append((session.sequence, event, json.loads(json.dumps(data))))
            await self._send_event(session, *session.log[-1])
        self._changed.set()

    async def _send_event(self, session: _Session, sequence: int, event: str, data: Json) -> None:
        if event.startswith("MESSAGE_") and "content" in data:
            data = self._as_seen(data, session.me)
        if event.startswith("THREAD_") and data.get("owner_id") != session.me["id"]:
            data = {name: value for name, value in data.items() if name != "member"}
        await self._send({"op": 0, "s": sequence, "t": event, "d": data}, session)

    def _as_seen(self, message: Json, me: Json) -> Json:
        """Without the content where a bot has not the right to it."""
        mine = message["author"]["id"] == me["id"]
        mentioned = any(user["id"] == me["id"] for user in message["mentions"])
        if self._intents.get(me["id"], 0) & _MESSAGE_CONTENT or mine or mentioned or "guild_id" not in message:
            return message
        hidden = message | {"content": "", "embeds": [], "attachments": [], "components": []}
        if hidden.get("referenced_message"):
            hidden["referenced_message"] = self._as_seen(hidden["referenced_message"], me)
        return hidden

    async def _to_all(self, payload: Json) -> None:
        for session in list(self._sockets.values()):
            await self._send(payload, session)

    async def _send(self, payload: Json, session: _Session) -> None:
        for socket in [socket for socket, its_session in self._sockets.items() if its_session is session]:
            with suppress(ConnectionError, RuntimeError):
                await socket.send_str(json.dumps(payload))

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        if self.gateway_down:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        interval = self.heartbeat_interval
        self.dialled += 1
        await socket.send_str(json.dumps({"op": 10, "d": {"heartbeat_interval": int(interval * 1000)}}))
        if self.gateway_hangs_up:
            await socket.close(code=4000)
            return socket
        try:
            while True:
                message = await socket.receive(timeout=interval * 2)
                if message.type is not WSMsgType.TEXT:
                    break
                payload = json.loads(message.data)
                if payload["op"] == 1:
                    await socket.send_str('{"op": 11}')
                elif payload["op"] == 2:
                    await self._identify(socket, payload["d"])
                elif payload["op"] == 6:
                    await self._resume(socket, payload["d"])
                self._changed.set()
        except TimeoutError:
            await socket.close(code=4009)
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.identifies += 1
        if data["token"] not in self.bots:
            await socket.close(code=4004)
        elif data["intents"] & _MESSAGE_CONTENT and not self.content_allowed:
            await socket.close(code=4014)
        elif self.fatal_close is not None:
            await socket.close(code=self.fatal_close)
        else:
            shard, shards = data.get("shard", (0, 1))
            me = self.bots[data["token"]]
            session, name, self._intents[me["id"]] = (
                _Session(me, shard, shards),
                f"session-{self.identifies}",
                data["intents"],
            )
            of_others = {
                key: old
                for key, old in self._sessions.items()
                if old.me is not me or (old.shards == shards and old.shard != shard)
            }
            self._sessions = of_others | {name: session}
            guilds = [guild for guild in self.guilds if session.serves(guild)]
            ready = {"v": 10, "user": me, "session_id": name, "resume_gateway_url": self.gateway}
            ready |= {"guilds": [{"id": guild, "unavailable": True} for guild in guilds]}
            ready |= {"application": {"id": self.application, "flags": 0}, "shard": [shard, shards]}
            await socket.send_str(json.dumps({"op": 0, "s": 1, "t": "READY", "d": ready}))
            self._sockets[socket] = session
            for guild in guilds:
                await self.dispatch("GUILD_CREATE", self.guilds[guild])

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        session = self._sessions.get(data["session_id"])
        if session is None:
            await socket.send_str('{"op": 9, "d": false}')
            return
        self.resumes += 1
        self._sockets[socket] = session
        for sequence, event, payload in list(session.log):
            if sequence > data["seq"]:
                await self._send_event(session, sequence, event, payload)
        session.sequence += 1
        await socket.send_str(json.dumps({"op": 0, "s": session.sequence, "t": "RESUMED", "d": {}}))

    # --- REST

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

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
        except Fault as fault:
            call.status, result = fault.status, fault.body
            if fault.status == 429:
                headers = {"Via": "1.1 google", "Retry-After": str(fault.body["retry_after"])}
        self._changed.set()
        await self.hold(f"{call.method} {call.path}")
        for lost in list(self.lost_answers):
            if lost(call.method, call.path):
                self.lost_answers.remove(lost)
                assert request.transport is not None
                request.transport.abort()
        if result is None:
            return web.Response(status=204)
        content = json.dumps(result).encode()
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
            raise Fault(401)
        spec = discord_spec() if self.strict else None
        if spec is not None:
            problems = spec.problems(call.method, call.path, call.body)
            # That of all commands takes longer than a callback may.
            self.violations += await asyncio.to_thread(list, problems) if isinstance(call.body, list) else problems
        for said in _messages_in(call):
            units = len((said.get("content") or "").encode("utf-16-le")) // 2
            if units > 2000:
                self.violations.append(f"{call.path}: {units} units of content")
                raise Fault(400, 50035)
            if said.get("content") and said.get("allowed_mentions", {}).get("parse") != []:
                self.violations.append(f"{call.path}: mentions are not switched off")
            updates = call.path.endswith("/callback") and call.body["type"] == 7
            if not said.get("content") and call.method == "POST" and not call.files and not updates:
                raise Fault(400, 50006)

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
            case ("GET", "guilds", guild, "members", _):
                return self.guilds[guild]["members"][0]
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
                    raise Fault(403, 50007)
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
                self._found(channel, message).setdefault("reactions", []).append(emoji)
                return None
            case ("POST", "channels", channel, "messages", message, "threads"):
                self._found(channel, message)
                if message in self.channels:
                    raise Fault(400, 160004)
                return await self._open_thread(channel, message, call.body["name"], call.me["id"])
            case ("POST", "interactions", interaction, token, "callback"):
                return await self._respond(interaction, token, call)
            case ("POST", "webhooks", _, token):
                return await self._follow_up(self._responded(token), call)
            case ("PATCH", "webhooks", _, token, "messages", message):
                return await self._edit_response(self._responded(token), message.replace("%40", "@"), call)
            case ("DELETE", "webhooks", _, token, "messages", message):
                self._responded(token)
                return None
        self.violations.append(f"{call.method} {call.path}: not known here")
        raise Fault(404, 0)

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

    # --- messages

    def _allowed(self, channel: str) -> None:
        if channel not in self.channels:
            raise Fault(404, 10003)
        if channel in self.forbidden:
            raise Fault(403, 50013)

    def _writable(self, channel: str) -> None:
        self._allowed(channel)
        state = self.channels[channel].get("thread_metadata") or {}
        if state.get("archived"):
            raise Fault(400, 50083)
        if state.get("locked") and not self.manages_threads:
            raise Fault(403, 50013)

    async def _change_thread(self, channel: str, changes: Json) -> Json:
        self._allowed(channel)
        thread = self.channels[channel]
        if thread["thread_metadata"].get("locked") and not self.manages_threads:
            raise Fault(403, 50013)
        await self.archive(channel, locked=changes.get("locked", False), archived=changes["archived"])
        return thread

    def _limited(self, channel: str) -> None:
        if self.message_limit is None:
            return
        count, seconds = self.message_limit
        times, now = self._sent_times[channel], time.monotonic()
        while times and now - times[0] > seconds:
            times.popleft()
        if len(times) >= count:
            raise Fault(429, retry_after=seconds - (now - times[0]) + 0.01, **{"global": False})
        times.append(now)

    async def _post_message(self, channel: str, call: Request) -> Json:
        self._writable(channel)
        if call.files and channel in self.files_forbidden:
            raise Fault(403, 50013)
        self._limited(channel)
        body = call.body
        key = (channel, f"{call.me['id']} {body.get('nonce')}")
        if body.get("enforce_nonce") and key in self._nonces:
            return self._nonces[key]
        message = self._message(channel, call.me, body.get("content") or "")
        self._fill(message, body, call)
        if reference := body.get("message_reference"):
            found = [other for other in self.messages[channel] if other["id"] == str(reference["message_id"])]
            if not found and reference.get("fail_if_not_exists", True):
                unknown = [{"code": "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "message": "Unknown message"}]
                raise Fault(400, 50035, errors={"message_reference": {"_errors": unknown}})
            message |= {"type": 19, "message_reference": reference, "referenced_message": (found or [None])[0]}
        self._nonces[key] = message
        self._keep(channel, message)
        await self.dispatch("MESSAGE_CREATE", message | {"nonce": body.get("nonce")})
        return message

    async def _edit_message(self, message: Json, call: Request) -> Json:
        self._writable(message["channel_id"])
        if message["author"]["id"] != call.me["id"]:
            raise Fault(403, 50005)
        self._fill(message, call.body, call)
        message["edited_timestamp"] = _now()
        await self.dispatch("MESSAGE_UPDATE", message)
        return message

    def _fill(self, message: Json, body: Json, call: Request) -> None:
        for name in ("content", "components", "flags"):
            if name in body:
                message[name] = body[name] or ([] if name == "components" else 0 if name == "flags" else "")
        if "attachments" in body or call.files:
            message["attachments"] = [
                {"id": self._id(), "filename": name, "size": len(content), "url": "http://x", "proxy_url": "http://x"}
                for name, content in call.files.items()
            ]
            message["files"] = {name: content.decode(errors="replace") for name, content in call.files.items()}

    def _history(self, channel: str, request: web.Request, me: Json) -> list[Json]:
        """The oldest messages after one, or the latest ones of all; newest first."""
        self._allowed(channel)
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 50))
        newer = [self._as_seen(message, me) for message in self.messages[channel] if int(message["id"]) > after]
        return (newer[:limit] if after else newer[-limit:])[::-1]

    def _found(self, channel: str, message: str) -> Json:
        self._allowed(channel)
        for other in self.messages[channel]:
            if other["id"] == message:
                return other
        raise Fault(404, 10008)

    async def _open_thread(self, parent: str, thread_id: str, name: str, owner: str, *, kind: int = 11) -> Json:
        if len(name) > 100:
            raise Fault(400, 50035)
        thread = {"id": thread_id, "type": kind, "name": name, "parent_id": parent, "owner_id": owner, "guild_id": None}
        thread |= {"guild_id": self.channels[parent]["guild_id"], "message_count": 0, "member_count": 1, "flags": 0}
        thread["thread_metadata"] = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _now()}
        if owner in {bot["id"] for bot in self.bots.values()}:
            thread["member"] = {"id": thread_id, "user_id": owner, "join_timestamp": _now(), "flags": 0}
        self.channels[thread_id] = thread
        await self.dispatch("THREAD_CREATE", thread)
        return thread

    def _message(self, channel: str, author: Json, text: str) -> Json:
        message = {"id": self._id(), "channel_id": channel, "author": author, "content": text, "timestamp": _now()}
        message |= {
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
        }
        message |= {"attachments": [], "embeds": [], "pinned": False, "type": 0, "flags": 0, "components": []}
        if guild := self.channels[channel].get("guild_id"):
            message["guild_id"] = guild
            message["member"] = {"roles": [], "joined_at": _now(), "deaf": False, "mute": False, "flags": 0}
        return message

    def _keep(self, channel: str, message: Json) -> None:
        self.messages[channel].append(message)
        self.channels[channel]["last_message_id"] = message["id"]

    # --- interactions

    async def _interact(
        self, channel: str, user: Json, kind: int, data: Json, *, message: Json | None = None, twice: bool = False
    ) -> Interaction:
        interaction = Interaction(self._id(), f"token-{self._id()}", kind, channel, user, time.monotonic())
        interaction.pressed = message
        self.interactions[interaction.token] = interaction
        where = self.channels[channel]
        event: Json = {"id": interaction.id, "application_id": self.application, "type": kind, "version": 1}
        event |= {"token": interaction.token, "data": data, "channel_id": channel, "channel": where, "locale": "en-US"}
        event |= {"attachment_size_limit": 10_000_000, "app_permissions": "0", "entitlements": []}
        event["authorizing_integration_owners"] = {}
        if message is not None:
            event["message"] = message
        if guild := where.get("guild_id"):
            event |= {"guild_id": guild, "guild_locale": "en-US"}
            permissions = str(2**40 - 1) if user["id"] == self.owner["id"] else str(1 << 11)
            permissions = user.get("permissions", permissions)
            event["member"] = {"user": user, "roles": [], "permissions": permissions, "joined_at": _now(), "flags": 0}
        else:
            event["user"] = user
        for _ in range(1 + twice):
            await self.dispatch("INTERACTION_CREATE", event)
        return interaction

    async def _respond(self, interaction_id: str, token: str, call: Request) -> Json:
        interaction = self.interactions.get(token)
        if interaction is None or interaction.id != interaction_id or interaction.expired:
            raise Fault(404, 10062)
        if interaction.response is not None:
            raise Fault(400, 40060)
        took = time.monotonic() - interaction.created
        if took > _TO_RESPOND:
            raise Fault(404, 10062)
        interaction.response, interaction.responded = call.body, took
        kind, data = call.body["type"], call.body.get("data") or {}
        resource: Json = {"type": kind}
        if kind == 4:
            interaction.message = resource["message"] = self._response_message(interaction, data, call)
        elif kind == 7 and interaction.pressed is not None:
            self._fill(interaction.pressed, data, call)
            interaction.message = resource["message"] = interaction.pressed
        result = {"id": interaction.id, "type": interaction.kind, "response_message_loading": kind == 5}
        return {"interaction": result, "resource": resource}

    def _responded(self, token: str) -> Interaction:
        interaction = self.interactions.get(token)
        if interaction is None or interaction.response is None:
            raise Fault(404, 10015)
        if interaction.expired:
            raise Fault(401, 50027)
        return interaction

    def _response_message(self, interaction: Interaction, data: Json, call: Request) -> Json:
        message = self._message(interaction.channel, self.me, data.get("content") or "")
        self._fill(message, data, call)
        if interaction.ephemeral:
            message["flags"] |= _EPHEMERAL
        else:
            self._keep(interaction.channel, message)
        return message

    async def _edit_response(self, interaction: Interaction, message_id: str, call: Request) -> Json:
        if message_id == "@original":
            if interaction.message is None:
                interaction.message = self._response_message(interaction, {}, call)
            message = interaction.message
        else:
            known = [message for message in (interaction.message, *interaction.followups) if message]
            [message] = [other for other in known if other["id"] == message_id] or [None]
            if message is None:
                raise Fault(404, 10008)
        self._fill(message, call.body, call)
        return message

    async def _follow_up(self, interaction: Interaction, call: Request) -> Json:
        message = self._message(interaction.channel, self.me, "")
        self._fill(message, call.body, call)
        interaction.followups.append(message)
        if not message["flags"] & _EPHEMERAL:
            self._keep(interaction.channel, message)
        return message

    # --- small things

    def _direct_of(self, user_id: str) -> Json:
        return self.channels[self.direct(self._user("someone") | {"id": user_id})]

    def _user(self, name: str) -> Json:
        return {"id": self._id(), "username": name, "discriminator": "0", "avatar": None, "global_name": None}

    _last_id = 0

    @classmethod
    def _id(cls) -> str:
        cls._last_id = max(cls._last_id + 1, (int(time.time() * 1000) - _EPOCH) << 22)
        return str(cls._last_id)


_ALL_BUT_ADMINISTRATOR = str(2**40 - 1 - (1 << 3))
_ROLE = {"color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}


def _option_type(value: object) -> int:
    return 5 if isinstance(value, bool) else 3


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000000+00:00"


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
