"""A local Bot API over real sockets, with people in chats: what python-telegram-bot needs, and how the service fails.

The test plays the people (`says`, `edits`, `presses`, `types_inline`, ...) and breaks the service (`break_next`, `limits`);
the bot connects through `base_url`. Every call is recorded in `calls`, and what the published description of the API says
against it in `violations`.
"""

import asyncio
import itertools
import json
import math
import re
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.platforms import telegram_description
from tests.platforms.telegram_markup import LONGEST_CAPTION, Refused, formatted, units

Json = dict[str, Any]
TOKEN = "123456:a-token-of-the-tests"  # noqa: S105
BOT = {"id": 123456, "is_bot": True, "first_name": "Keeper", "username": "keeper_bot"}
ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
AS_CHANNEL = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
SERVICE = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
LARGEST_DOWNLOAD = 20 * 2**20  # bytes
_CALLBACK_SECONDS = 15.0  # after which a pressed button or an inline query can't be answered any more
_TEXT = {"text", "url", "secret_token", "file_id", "callback_query_id", "inline_query_id", "language_code", "caption"}


@dataclass
class Chat:
    """One chat, and how the bot stands in it."""

    data: Json
    members: list[Json] = field(default_factory=list)
    messages: dict[int, Json] = field(default_factory=dict)
    bot_status: str = "member"  # or left, kicked
    closed_topics: set[int] = field(default_factory=set)
    moved_to: int | None = None

    @property
    def id(self) -> int:
        return int(self.data["id"])

    @property
    def is_group(self) -> bool:
        return self.data["type"] in ("group", "supergroup")

    @property
    def from_bot(self) -> list[Json]:
        """The bot's messages here that are not deleted, oldest first."""
        name = BOT["username"]
        return [message for message in self.messages.values() if (message.get("from") or {}).get("username") == name]

    @property
    def texts(self) -> list[str]:
        return [message.get("text", "") for message in self.from_bot]


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


@dataclass
class Limits:
    """Flood control: how often a chat, a group and the whole bot may send or edit. None: without a limit."""

    per_chat: tuple[int, float] | None = (3, 3.0)  # about one a second; short bursts are let through
    per_group: tuple[int, float] | None = (20, 60.0)
    overall: tuple[int, float] | None = (30, 1.0)


async def _at_once(_method: str, _parameters: Json) -> None:
    """Holds back no call."""


class TelegramServer:
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
        self.me = BOT | {"id": bot} | ({"username": f"keeper_{bot}_bot"} if beside else {})
        self._beside: list[TelegramServer] = []
        self.token = TOKEN.replace(str(BOT["id"]), str(bot))
        self.privacy = privacy
        self.limits = limits
        self.chats: dict[int, Chat] = {}
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.commands: dict[tuple[str, str], list[Json]] = {}  # by scope and language
        self.callback_answers: dict[str, Json] = {}
        self.inline_answers: dict[str, Json] = {}
        self.webhook: Json = {}
        self.webhook_repeats = 1  # how often each update is delivered to the webhook
        self.webhook_shuffled = False
        self.webhook_statuses: list[int] = []
        self.on_done: Callable[[str, Json], None] = lambda _method, _parameters: None  # before the bot hears of it
        self.hold: Callable[[str, Json], Awaitable[None]] = _at_once  # before a call is done, and after it
        self.ignored_waits = 0  # calls for a chat that was told to wait
        self._port = port
        self._updates: dict[int, Json] = {}
        self._update_ids = itertools.count(1000)
        self._user_ids = itertools.count(501)
        self._group_ids = itertools.count(1)
        self._allowed: list[str] | None = None
        self._news = asyncio.Condition()
        self._poller: asyncio.Event | None = None  # set to end the poll that is waiting
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._sent: dict[Any, deque[float]] = defaultdict(deque)
        self._blocked_until: dict[int, float] = {}
        self._queries: dict[str, float] = {}  # open callback and inline queries, with when they were made
        self._files: dict[str, tuple[str, bytes]] = {}
        self._hanging = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        if beside is not None:
            self.chats, self._user_ids, self._group_ids = beside.chats, beside._user_ids, beside._group_ids
            self._beside.append(beside)
            beside._beside.append(self)

    # --- being a server

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

    @property
    def pending(self) -> list[Json]:
        """The updates that the bot has not confirmed yet."""
        return list(self._updates.values())

    def called(self, method: str) -> list[Json]:
        """The parameters of all calls of a method, oldest first."""
        return [call.parameters for call in self.calls if call.method == method]

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

    # --- people and chats

    def person(self, first_name: str, **data: Any) -> Json:
        return {"id": next(self._user_ids), "is_bot": False, "first_name": first_name, "language_code": "en", **data}

    def private(self, person: Json) -> Chat:
        data = {"id": person["id"], "type": "private", "first_name": person["first_name"]}
        return self.chats.setdefault(person["id"], Chat(data, [person]))

    def group(self, title: str = "Group", *, kind: str = "supergroup", **data: Any) -> Chat:
        number = next(self._group_ids)
        identity = -number if kind == "group" else -1000000000000 - number
        chat = Chat({"id": identity, "type": kind, "title": title, **data})
        self.chats[identity] = chat
        return chat

    # --- what people do; each makes an update for the bot, if it is to know

    def says(
        self,
        chat: Chat,
        person: Json,
        text: str,
        *,
        reply_to: Json | None = None,
        topic: int | None = None,
        at: float | None = None,
        **data: Any,
    ) -> Json:
        """A message of a person. `topic`: the thread of a forum. `data`: further fields of the message."""
        message = {"from": person, "text": text, **data}
        return self._posted(chat, message, reply_to, topic, at)

    def sends_document(
        self, chat: Chat, person: Json, name: str, content: bytes, caption: str | None = None, **data: Any
    ) -> Json:
        file_id = f"file-{len(self._files)}"
        self._files[file_id] = (f"documents/{name}", content)
        document = {"file_id": file_id, "file_unique_id": f"u-{file_id}", "file_name": name, "file_size": len(content)}
        message = {"from": person, "document": document, **({"caption": caption} if caption else {}), **data}
        return self._posted(chat, message, None, None, None)

    def sends_photo(self, chat: Chat, person: Json, caption: str | None = None, **data: Any) -> Json:
        photo = [{"file_id": "photo", "file_unique_id": "photo", "width": 9, "height": 9}]
        message = {"from": person, "photo": photo, **({"caption": caption} if caption else {}), **data}
        return self._posted(chat, message, None, None, None)

    def edits(self, chat: Chat, message: Json, text: str) -> Json:
        """The person corrects the text, or the caption, of a message."""
        which = "caption" if "caption" in message else "text"
        edited = message | {which: text, "edit_date": int(time.time())} | _typed_entities(which, text)
        chat.messages[message["message_id"]] = edited
        if self._bot_sees(chat, edited):
            self._update("edited_message", edited)
        return edited

    def presses(self, chat: Chat, person: Json, message: Json, label: str) -> str:
        """Press the button of a message of the bot whose text holds the label; returns the query's id."""
        rows = message["reply_markup"]["inline_keyboard"]
        [button] = [button for row in rows for button in row if label in button["text"]]
        shown = chat.messages.get(message["message_id"])
        inaccessible = {"chat": chat.data, "message_id": message["message_id"], "date": 0}
        return self._query(
            "callback_query",
            {"from": person, "message": shown or inaccessible, "chat_instance": "1", "data": button["callback_data"]},
        )

    def types_inline(self, person: Json, query: str) -> str:
        """Type `@bot query` in some chat; returns the query's id."""
        return self._query("inline_query", {"from": person, "query": query, "offset": "", "chat_type": "private"})

    def blocks(self, person: Json) -> None:
        self._changes_standing(self.private(person), person, "kicked")

    def unblocks(self, person: Json) -> None:
        self._changes_standing(self.private(person), person, "member")

    def removes_bot(self, chat: Chat, person: Json) -> None:
        self._changes_standing(chat, person, "kicked")

    def adds_bot(self, chat: Chat, person: Json) -> None:
        self._changes_standing(chat, person, "member")

    def posts_in_channel(self, channel: Chat, text: str) -> Json:
        message = self._message(channel, {"sender_chat": channel.data, "text": text} | _typed_entities("text", text))
        self._update("channel_post", message)
        return message

    def forwards_to_discussion(self, group: Chat, channel: Chat, text: str) -> Json:
        """The message that appears in a channel's discussion group by itself when something is posted in the channel."""
        return self.says(group, SERVICE, text, sender_chat=channel.data, is_automatic_forward=True)

    def becomes_supergroup(self, chat: Chat, person: Json) -> Chat:
        new = self.group(chat.data["title"])
        new.members = chat.members
        chat.moved_to = new.id
        self._update("message", self._message(chat, {"from": person, "migrate_to_chat_id": new.id}))
        self._update("message", self._message(new, {"from": person, "migrate_from_chat_id": chat.id}))
        return new

    def update(self, kind: str, content: Json) -> int:
        """An update of any kind, as it stands; returns its id."""
        return self._update(kind, content)

    # --- making messages and updates

    def _posted(self, chat: Chat, message: Json, reply_to: Json | None, topic: int | None, at: float | None) -> Json:
        for which in ("text", "caption"):
            if which in message:
                message = _typed_entities(which, message[which]) | message
        if reply_to is not None:
            message["reply_to_message"] = {k: v for k, v in reply_to.items() if k != "reply_to_message"}
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        kept = self._message(chat, message, at)
        for server in (self, *self._beside):
            if server._bot_sees(chat, kept):
                server._update("message", kept)
        return kept

    def _message(self, chat: Chat, data: Json, at: float | None = None) -> Json:
        number = max(chat.messages, default=0) + 1
        message = {"message_id": number, "date": int(at or time.time()), "chat": chat.data, **data}
        chat.messages[number] = message
        return message

    def _bot_sees(self, chat: Chat, message: Json) -> bool:
        """The privacy mode: in a group the bot sees commands, mentions and replies to itself only."""
        if chat.bot_status != "member":
            return False
        if not chat.is_group or not self.privacy:
            return True
        text = message.get("text") or message.get("caption") or ""
        if (message.get("reply_to_message", {}).get("from") or {}).get("id") == self.me["id"]:
            return True
        if (message.get("via_bot") or {}).get("id") == self.me["id"]:
            return True
        if re.match(r"/\w+", text):
            return "@" not in text.split()[0] or text.split()[0].lower().endswith(f"@{self.me['username']}")
        return f"@{self.me['username']}" in text.lower()

    def _update(self, kind: str, content: Json) -> int:
        number = next(self._update_ids)
        if self._allowed is None or not self._allowed or kind in self._allowed:
            self._updates[number] = {"update_id": number, kind: content}
            self._start(self._announce())
        return number

    async def _announce(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _query(self, kind: str, content: Json) -> str:
        query = secrets.token_hex(6)
        self._queries[query] = time.monotonic()
        self._update(kind, {"id": query, **content})
        return query

    def _changes_standing(self, chat: Chat, person: Json, status: str) -> None:
        old, chat.bot_status = chat.bot_status, status
        self._update(
            "my_chat_member",
            {
                "chat": chat.data,
                "from": person,
                "date": int(time.time()),
                "old_chat_member": _membership(self.me, old),
                "new_chat_member": _membership(self.me, status),
            },
        )

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- answering calls

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

    async def _download(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        found = [content for name, content in self._files.values() if name == path]
        if request.match_info["token"] != self.token or not found:
            raise web.HTTPNotFound
        return web.Response(body=found[0])

    # --- methods: about the bot

    async def _do_getMe(self, _: Json) -> Json:  # noqa: N802
        return {
            **self.me,
            "can_join_groups": True,
            "can_read_all_group_messages": not self.privacy,
            "supports_inline_queries": True,
        }

    async def _do_getUpdates(self, wanted: Json) -> list[Json]:  # noqa: N802
        if self.webhook:
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            )
        if self._poller is not None:
            self._poller.set()
        ended = self._poller = asyncio.Event()
        self._allowed = wanted.get("allowed_updates", self._allowed)
        offset = wanted.get("offset", 0)
        for number in [number for number in self._updates if number < offset]:
            del self._updates[number]
        await self._wait_for_updates(wanted.get("timeout", 0), ended)
        if ended.is_set():
            raise Refused(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            )
        self._poller = None
        return list(self._updates.values())[: wanted.get("limit", 100)]

    async def _wait_for_updates(self, seconds: float, ended: asyncio.Event) -> None:
        until = time.monotonic() + seconds
        while not self._updates and not ended.is_set() and (left := until - time.monotonic()) > 0:
            ending = asyncio.ensure_future(ended.wait())
            hearing = asyncio.ensure_future(self._hear())
            await asyncio.wait((ending, hearing), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            hearing.cancel()
            await asyncio.gather(ending, hearing, return_exceptions=True)

    async def _hear(self) -> None:
        async with self._news:
            await self._news.wait()

    async def _do_setWebhook(self, wanted: Json) -> bool:  # noqa: N802
        self.webhook = wanted
        self._allowed = wanted.get("allowed_updates", self._allowed)
        self._start(self._feed_webhook())
        return True

    async def _do_deleteWebhook(self, wanted: Json) -> bool:  # noqa: N802
        self.webhook = {}
        if wanted.get("drop_pending_updates"):
            self._updates.clear()
        return True

    async def _do_getWebhookInfo(self, _: Json) -> Json:  # noqa: N802
        return {
            "url": self.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(self._updates),
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

    # --- methods: messages

    async def _do_sendMessage(self, wanted: Json) -> Json:  # noqa: N802
        chat = self._open_chat(wanted)
        self._count(chat)
        thread = wanted.get("message_thread_id")
        if thread is not None and thread == 1:
            raise Refused(400, "Bad Request: message thread not found")
        if (thread or 1) in chat.closed_topics:
            raise Refused(400, "Bad Request: TOPIC_CLOSED")
        text = formatted(wanted["text"], wanted.get("parse_mode"), wanted.get("entities"))
        message = {"from": self.me, "text": text.text.rstrip()} | _if_any("entities", text.entities)
        reply = wanted.get("reply_parameters")
        if reply and reply["message_id"] in chat.messages:
            message["reply_to_message"] = _shallow(chat.messages[reply["message_id"]])
        elif reply and not reply.get("allow_sending_without_reply"):
            raise Refused(400, "Bad Request: message to be replied not found")
        if thread is not None:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        sent = self._message(chat, message | self._keyboard(wanted))
        for server in self._beside:
            server._update("message", sent)
        return sent

    async def _do_editMessageText(self, wanted: Json) -> Json | bool:  # noqa: N802
        chat, message = self._own_message(wanted)
        self._count(chat)
        text = formatted(wanted["text"], wanted.get("parse_mode"), wanted.get("entities"))
        content = {"text": text.text.rstrip()} | _if_any("entities", text.entities) | self._keyboard(wanted)
        kept = ("text", "entities", "reply_markup")
        if content == {name: message[name] for name in kept if name in message}:
            raise Refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message",
            )
        edited = {k: v for k, v in message.items() if k not in kept} | content | {"edit_date": int(time.time())}
        chat.messages[message["message_id"]] = edited
        return edited

    async def _do_editMessageReplyMarkup(self, wanted: Json) -> Json:  # noqa: N802
        chat, message = self._own_message(wanted)
        self._count(chat)
        rest = {k: v for k, v in message.items() if k != "reply_markup"}
        edited = rest | self._keyboard(wanted)
        if edited == message:
            raise Refused(400, "Bad Request: message is not modified")
        chat.messages[message["message_id"]] = edited
        return edited

    async def _do_deleteMessage(self, wanted: Json) -> bool:  # noqa: N802
        chat = self._open_chat(wanted)
        if chat.messages.pop(wanted["message_id"], None) is None:
            raise Refused(400, "Bad Request: message to delete not found")
        return True

    async def _do_sendChatAction(self, wanted: Json) -> bool:  # noqa: N802
        self._open_chat(wanted)
        return True

    async def _do_sendDocument(self, wanted: Json) -> Json:  # noqa: N802
        chat = self._open_chat(wanted)
        self._count(chat)
        caption = wanted.get("caption")
        text = formatted(caption, None, None, LONGEST_CAPTION).text if caption else None
        return self._message(chat, {"from": self.me, "document": wanted["document"]} | _if_any("caption", text))

    async def _do_answerCallbackQuery(self, wanted: Json) -> bool:  # noqa: N802
        self._close_query(wanted["callback_query_id"])
        if units(wanted.get("text", "")) > 200:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self.callback_answers[wanted["callback_query_id"]] = wanted
        return True

    async def _do_answerInlineQuery(self, wanted: Json) -> bool:  # noqa: N802
        self._close_query(wanted["inline_query_id"])
        results = wanted["results"]
        if len(results) > 50 or len({result["id"] for result in results}) < len(results):
            raise Refused(400, "Bad Request: RESULT_ID_DUPLICATE")
        for result in results:
            content = result["input_message_content"]
            formatted(content["message_text"], content.get("parse_mode"), content.get("entities"))
        self.inline_answers[wanted["inline_query_id"]] = wanted
        return True

    async def _do_getFile(self, wanted: Json) -> Json:  # noqa: N802
        if wanted["file_id"] not in self._files:
            raise Refused(400, "Bad Request: invalid file_id")
        path, content = self._files[wanted["file_id"]]
        if len(content) > LARGEST_DOWNLOAD:
            raise Refused(400, "Bad Request: file is too big")
        found = {"file_id": wanted["file_id"], "file_unique_id": "u", "file_size": len(content)}
        return found | {"file_path": path}

    async def _do_leaveChat(self, wanted: Json) -> bool:  # noqa: N802
        self._open_chat(wanted).bot_status = "left"
        return True

    def _open_chat(self, wanted: Json) -> Chat:
        """The chat of a call, if the bot may speak there."""
        chat = self.chats.get(int(wanted["chat_id"]))
        if chat is None:
            raise Refused(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            raise Refused(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.moved_to,
            )
        if chat.bot_status != "member":
            kind = chat.data["type"]
            blocked = "bot was blocked by the user" if kind == "private" else f"bot was kicked from the {kind} chat"
            raise Refused(403, f"Forbidden: {blocked}")
        return chat

    def _own_message(self, wanted: Json) -> tuple[Chat, Json]:
        chat = self._open_chat(wanted)
        message = chat.messages.get(wanted["message_id"])
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if (message.get("from") or {}).get("id") != self.me["id"]:
            raise Refused(400, "Bad Request: message can't be edited")
        return chat, message

    def _keyboard(self, wanted: Json) -> Json:
        markup = wanted.get("reply_markup")
        for row in (markup or {}).get("inline_keyboard", []):
            for button in row:
                if len(button.get("callback_data", "").encode()) > 64:
                    raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        return _if_any("reply_markup", markup if (markup or {}).get("inline_keyboard") else None)

    def _close_query(self, query: str) -> None:
        made = self._queries.pop(query, None)
        if made is None or time.monotonic() - made > _CALLBACK_SECONDS:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")

    def _count(self, chat: Chat) -> None:
        """Flood control. Raises Refused with the seconds to wait."""
        if self.limits is None:
            return
        now = time.monotonic()
        if now < self._blocked_until.get(chat.id, 0):
            self.ignored_waits += 1
        applying: list[tuple[Any, tuple[int, float] | None]] = [
            ((chat.id, "group"), self.limits.per_group if chat.is_group else None),
            ((chat.id, "chat"), self.limits.per_chat),
            ("all", self.limits.overall),
        ]
        wait = max(_excess(self._sent[key], limit, now) for key, limit in applying)
        if wait > 0:
            seconds = math.ceil(wait)
            self._blocked_until[chat.id] = now + seconds - 0.05
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        for key, _ in applying:
            self._sent[key].append(now)

    # --- the webhook

    async def _feed_webhook(self) -> None:
        """Deliver what is pending to the webhook, again and again until it is taken."""
        hook = self.webhook
        async with aiohttp.ClientSession() as session:
            while self.webhook is hook:
                if not self._updates:
                    await self._hear_briefly()
                    continue
                batch = list(self._updates.values())
                for update in reversed(batch) if self.webhook_shuffled else batch:
                    for _ in range(self.webhook_repeats):
                        if await self._deliver(session, hook, update):
                            self._updates.pop(update["update_id"], None)
                await asyncio.sleep(0.05)

    async def _hear_briefly(self) -> None:
        try:
            async with asyncio.timeout(0.2):
                await self._hear()
        except TimeoutError:
            return

    async def _deliver(self, session: aiohttp.ClientSession, hook: Json, update: Json) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret_token"]} if "secret_token" in hook else {}
        try:
            async with session.post(
                hook["url"], json=update, headers=headers, timeout=aiohttp.ClientTimeout(10)
            ) as response:
                self.webhook_statuses.append(response.status)
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False


# --- small parts ------------------------------------------------------------------------------------------------------


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


def _typed_entities(which: str, text: str) -> Json:
    """The entities that an app makes of what somebody types: commands, mentions and addresses."""
    name = "entities" if which == "text" else "caption_entities"
    kinds = {"bot_command": r"(?<!\S)/\w{1,64}(?:@\w+)?", "mention": r"(?<!\w)@\w{5,32}", "url": r"https?://\S+"}
    found = [
        {"type": kind, "offset": units(text[: match.start()]), "length": units(match[0])}
        for kind, pattern in kinds.items()
        for match in re.finditer(pattern, text)
    ]
    return _if_any(name, found)


def _membership(bot: Json, status: str) -> Json:
    return {"user": bot, "status": status} | ({"until_date": 0} if status == "kicked" else {})


def _scope(wanted: Json) -> tuple[str, str]:
    scope = wanted.get("scope", {"type": "default"})
    identity = f":{scope['chat_id']}" if "chat_id" in scope else ""
    return f"{scope['type']}{identity}", wanted.get("language_code", "")


def _shallow(message: Json) -> Json:
    return {k: v for k, v in message.items() if k != "reply_to_message"}


def _if_any(name: str, value: Any) -> Json:
    return {name: value} if value else {}


def _excess(sent: deque[float], limit: tuple[int, float] | None, now: float) -> float:
    """Seconds until one more is within the limit."""
    if limit is None:
        return 0.0
    count, seconds = limit
    while sent and sent[0] <= now - seconds:
        sent.popleft()
    return sent[0] + seconds - now if len(sent) >= count else 0.0


def _refusal(refused: Refused) -> web.Response:
    body: Json = {"ok": False, "error_code": refused.code, "description": refused.description}
    return web.json_response(body | _if_any("parameters", refused.parameters), status=refused.code)


def _cut_off(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()
