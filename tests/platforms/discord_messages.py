"""Messages and threads of a local Discord: how the bot writes, changes and reads them, with the rules for it."""

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.platforms.discord_chats import Json, now
from tests.platforms.discord_events import Events


class Refused(Exception):
    """The answer to a call that is not carried out."""

    def __init__(self, status: int, code: int = 0, **fields: Any) -> None:
        self.status = status
        self.body = {"code": code, "message": "as asked for", **fields}


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


class Messages(Events):
    """Carries out the calls that are about messages and threads. They raise `Refused`."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: set[str] = set()  # channels
        self.files_forbidden: set[str] = set()  # channels
        self.manages_threads = False
        self.message_limit: tuple[int, float] | None = None  # so many a channel in so many seconds
        self._reacted: dict[tuple[str, str], list[Json]] = defaultdict(list)  # people, by message and emoji
        self._nonces: dict[tuple[str, str], Json] = {}
        self._sent_times: dict[str, deque[float]] = defaultdict(deque)

    def forget_nonces(self) -> None:
        """Let messages be sent again with a nonce of before, as Discord does after some minutes."""
        self._nonces.clear()

    async def _post_message(self, channel: str, call: Request) -> Json:
        self._writable(channel)
        if call.files and channel in self.files_forbidden:
            raise Refused(403, 50013)
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
                raise Refused(400, 50035, errors={"message_reference": {"_errors": unknown}})
            message |= {"type": 19, "message_reference": reference, "referenced_message": (found or [None])[0]}
        self._nonces[key] = message
        self._keep(channel, message)
        await self.dispatch("MESSAGE_CREATE", message | {"nonce": body.get("nonce")})
        return message

    async def _edit_message(self, message: Json, call: Request) -> Json:
        self._writable(message["channel_id"])
        if message["author"]["id"] != call.me["id"]:
            raise Refused(403, 50005)
        self._fill(message, call.body, call)
        message["edited_timestamp"] = now()
        await self.dispatch("MESSAGE_UPDATE", message)
        return message

    async def delete(self, message: Json) -> None:
        channel = message["channel_id"]
        self.messages[channel] = [other for other in self.messages[channel] if other["id"] != message["id"]]
        where = {"guild_id": guild} if (guild := self.channels[channel].get("guild_id")) else {}
        await self.dispatch("MESSAGE_DELETE", {"id": message["id"], "channel_id": channel, **where})

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
        raise Refused(404, 10008)

    # --- reactions

    def react(self, message: Json, emoji: str, user: Json) -> None:
        """Somebody reacts to a message; an emoji of the server is `name:id`."""
        name, _, number = emoji.partition(":")
        people = self._reacted[message["id"], emoji]
        people.append(user)
        reactions = [one for one in message.get("reactions", []) if one["emoji"]["name"] != name]
        fields = {"count_details": {"burst": 0, "normal": len(people)}, "burst_colors": [], "me_burst": False}
        fields |= {"count": len(people), "me": user["id"] == self.me["id"]}
        message["reactions"] = [*reactions, {"emoji": {"id": number or None, "name": name}, **fields}]

    def unreact(self, message: Json, emoji: str) -> None:
        """All reactions with an emoji are taken back."""
        self._reacted.pop((message["id"], emoji))
        message["reactions"] = [one for one in message["reactions"] if one["emoji"]["name"] != emoji.partition(":")[0]]

    def _people_who_reacted(self, channel: str, message: str, emoji: str, request: web.Request) -> list[Json]:
        self._found(channel, message)
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 25))
        people = sorted(self._reacted[message, emoji], key=lambda user: int(user["id"]))
        return [user for user in people if int(user["id"]) > after][:limit]

    # --- threads

    def _active_threads(self, guild: str) -> Json:
        found = [
            channel
            for channel in self.channels.values()
            if "thread_metadata" in channel
            and channel["guild_id"] == guild
            and channel["parent_id"] not in self.forbidden
        ]
        return {"threads": [thread for thread in found if not thread["thread_metadata"]["archived"]], "members": []}

    def _archived_threads(self, channel: str, request: web.Request) -> Json:
        """The public threads that are archived, the latest first."""
        self._allowed(channel)
        before, limit = request.query.get("before", "9"), int(request.query.get("limit", 50))
        found = [
            thread
            for thread in self.channels.values()
            if thread.get("parent_id") == channel and thread["type"] != 12 and thread["thread_metadata"]["archived"]
        ]
        found.sort(key=lambda thread: str(thread["thread_metadata"]["archive_timestamp"]), reverse=True)
        found = [thread for thread in found if thread["thread_metadata"]["archive_timestamp"] < before]
        return {"threads": found[:limit], "members": [], "has_more": len(found) > limit}

    async def _open_thread(self, parent: str, thread_id: str, name: str, owner: str, *, kind: int = 11) -> Json:
        if len(name) > 100:
            raise Refused(400, 50035)
        thread = {"id": thread_id, "type": kind, "name": name, "parent_id": parent, "owner_id": owner, "guild_id": None}
        thread |= {"guild_id": self.channels[parent]["guild_id"], "message_count": 0, "member_count": 1, "flags": 0}
        thread["thread_metadata"] = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": now()}
        if owner in {bot["id"] for bot in self.bots.values()}:
            thread["member"] = {"id": thread_id, "user_id": owner, "join_timestamp": now(), "flags": 0}
        self.channels[thread_id] = thread
        await self.dispatch("THREAD_CREATE", thread)
        return thread

    async def _change_thread(self, channel: str, changes: Json) -> Json:
        self._allowed(channel)
        thread = self.channels[channel]
        if thread["thread_metadata"].get("locked") and not self.manages_threads:
            raise Refused(403, 50013)
        await self.archive(channel, locked=changes.get("locked", False), archived=changes["archived"])
        return thread

    async def archive(self, thread: str, *, locked: bool = False, archived: bool = True) -> None:
        """Somebody closes a thread, or locks it too."""
        changed = {"archived": archived, "locked": locked, "archive_timestamp": now()}
        self.channels[thread]["thread_metadata"] |= changed
        await self.dispatch("THREAD_UPDATE", self.channels[thread])

    # --- rules

    def _allowed(self, channel: str) -> None:
        if channel not in self.channels:
            raise Refused(404, 10003)
        if channel in self.forbidden:
            raise Refused(403, 50013)

    def _writable(self, channel: str) -> None:
        self._allowed(channel)
        state = self.channels[channel].get("thread_metadata") or {}
        if state.get("archived"):
            raise Refused(400, 50083)
        if state.get("locked") and not self.manages_threads:
            raise Refused(403, 50013)

    def _limited(self, channel: str) -> None:
        if self.message_limit is None:
            return
        count, seconds = self.message_limit
        times, now = self._sent_times[channel], time.monotonic()
        while times and now - times[0] > seconds:
            times.popleft()
        if len(times) >= count:
            raise Refused(429, retry_after=seconds - (now - times[0]) + 0.01, **{"global": False})
        times.append(now)
