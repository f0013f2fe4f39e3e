"""The gateway of a local Discord: it sends the bot the events of its servers, and breaks on demand."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.platforms.discord_chats import Chats, Json

_MESSAGE_CONTENT = 1 << 15


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


class Events(Chats):
    """Sends the events of the chats over the gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.identifies = 0
        self.resumes = 0
        self.content_allowed = True  # the switch in the developer portal
        self.gateway_down = False
        self.gateway_hangs_up = False
        self.dialled = 0
        self.fatal_close: int | None = None  # answer to the next IDENTIFY
        self.heartbeat_interval = 41.25  # seconds
        self._changed = asyncio.Event()
        self._sockets: dict[web.WebSocketResponse, _Session] = {}
        self._sessions: dict[str, _Session] = {}  # that can be resumed, by id: the latest of each shard
        self._intents: dict[str, int] = {}  # by bot
        self._port = 0

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

    # --- breaking

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

    async def invalidate(self, *, resumable: bool) -> None:
        if not resumable:
            self.forget_sessions()
        await self._to_all({"op": 9, "d": resumable})

    # --- talking to the bot

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
        by_default = _MESSAGE_CONTENT if self.content_allowed else 0  # for a bot that has never connected
        if self._intents.get(me["id"], by_default) & _MESSAGE_CONTENT or mine or mentioned or "guild_id" not in message:
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
