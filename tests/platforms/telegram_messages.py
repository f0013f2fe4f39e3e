"""Messages of a local Telegram: how the bot sends, edits and deletes them, with the rules for it."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from tests.platforms.telegram_chats import Chat, Json, if_any
from tests.platforms.telegram_events import Events
from tests.platforms.telegram_markup import LONGEST_CAPTION, Refused, formatted

LARGEST_DOWNLOAD = 20 * 2**20  # bytes


@dataclass
class Limits:
    """Flood control: how often a chat, a group and the whole bot may send or edit. None: without a limit."""

    per_chat: tuple[int, float] | None = (3, 3.0)  # about one a second; short bursts are let through
    per_group: tuple[int, float] | None = (20, 60.0)
    overall: tuple[int, float] | None = (30, 1.0)


class Messages(Events):
    """Carries out the calls that are about messages and files. They raise `Refused`."""

    def __init__(self, *, limits: Limits | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.ignored_waits = 0  # calls for a chat that was told to wait
        self._sent: dict[Any, deque[float]] = defaultdict(deque)
        self._blocked_until: dict[int, float] = {}
        self._files: dict[str, tuple[str, bytes]] = {}

    async def _do_sendMessage(self, wanted: Json) -> Json:  # noqa: N802
        chat = self._open_chat(wanted)
        self._count(chat)
        thread = wanted.get("message_thread_id")
        if thread is not None and thread == 1:
            raise Refused(400, "Bad Request: message thread not found")
        if (thread or 1) in chat.closed_topics:
            raise Refused(400, "Bad Request: TOPIC_CLOSED")
        text = formatted(wanted["text"], wanted.get("parse_mode"), wanted.get("entities"))
        message = {"from": self.me, "text": text.text.rstrip()} | if_any("entities", text.entities)
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
        content = {"text": text.text.rstrip()} | if_any("entities", text.entities) | self._keyboard(wanted)
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
        return self._message(chat, {"from": self.me, "document": wanted["document"]} | if_any("caption", text))

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

    # --- rules

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
        return if_any("reply_markup", markup if (markup or {}).get("inline_keyboard") else None)

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


def _shallow(message: Json) -> Json:
    return {k: v for k, v in message.items() if k != "reply_to_message"}


def _excess(sent: deque[float], limit: tuple[int, float] | None, now: float) -> float:
    """Seconds until one more is within the limit."""
    if limit is None:
        return 0.0
    count, seconds = limit
    while sent and sent[0] <= now - seconds:
        sent.popleft()
    return sent[0] + seconds - now if len(sent) >= count else 0.0
