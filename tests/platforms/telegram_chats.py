"""The chats, messages and people of a local Telegram."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any, Self

Json = dict[str, Any]
TOKEN = "123456:a-token-of-the-tests"  # noqa: S105
BOT = {"id": 123456, "is_bot": True, "first_name": "Keeper", "username": "keeper_bot"}
ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
AS_CHANNEL = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
SERVICE = {"id": 777000, "is_bot": False, "first_name": "Telegram"}


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


class Chats:
    """All that exists, each thing in the form in which the Bot API describes it."""

    def __init__(self, *, bot: int = 123456, beside: Self | None = None) -> None:
        """`bot`: the id of the bot. Each bot has a token of its own. `beside`: the server of another bot in the same chats.

        Each of the two bots gets the messages of the other.
        """
        self.me = BOT | {"id": bot} | ({"username": f"keeper_{bot}_bot"} if beside else {})
        self.token = TOKEN.replace(str(BOT["id"]), str(bot))
        self.chats: dict[int, Chat] = {}
        self._beside: list[Self] = []
        self._user_ids = itertools.count(501)
        self._group_ids = itertools.count(1)
        if beside is not None:
            self.chats, self._user_ids, self._group_ids = beside.chats, beside._user_ids, beside._group_ids
            self._beside.append(beside)
            beside._beside.append(self)

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

    def _message(self, chat: Chat, data: Json, at: float | None = None) -> Json:
        number = max(chat.messages, default=0) + 1
        message = {"message_id": number, "date": int(at or time.time()), "chat": chat.data, **data}
        chat.messages[number] = message
        return message


def if_any(name: str, value: Any) -> Json:
    """A field of an object, or no field if its value is empty."""
    return {name: value} if value else {}
