"""The servers, channels, messages and users of a local Discord."""

import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
TOKEN = "local.token.for-tests"  # noqa: S105
_EPOCH = 1_420_070_400_000
_ALL_BUT_ADMINISTRATOR = str(2**40 - 1 - (1 << 3))
_ROLE = {"color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}


class Chats:
    """All that exists, each thing in the form in which Discord's API describes it."""

    _last_id = 0

    def __init__(self) -> None:
        self.messages: dict[str, list[Json]] = defaultdict(list)  # by channel, oldest first
        self.channels: dict[str, Json] = {}
        self.guilds: dict[str, Json] = {}
        self.owner = self._user("owner")
        self.me = {**self._user("bot"), "bot": True}
        self.bots = {TOKEN: self.me}  # by token
        self.application = self._id()

    def guild(self, name: str = "server") -> Json:
        guild_id = self._id()
        everyone = {"id": guild_id, "name": "@everyone", "permissions": _ALL_BUT_ADMINISTRATOR, "position": 0, **_ROLE}
        role = {"id": self._id(), "name": "bot", "permissions": "0", "position": 1, **_ROLE}
        role |= {"managed": True, "tags": {"bot_id": self.me["id"]}}
        member = {"user": self.me, "roles": [role["id"]], "joined_at": now(), "deaf": False, "mute": False, "flags": 0}
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

    def role(self, guild: Json, name: str) -> str:
        """A role that gives no permission."""
        role = {"id": self._id(), "name": name, "permissions": "0", "position": len(guild["roles"]), **_ROLE}
        guild["roles"].append(role)
        return str(role["id"])

    def member(self, guild: Json, name: str, *roles: str) -> Json:
        """Somebody with roles on a server."""
        user = self.user(name)
        guild["members"].append(guild["members"][0] | {"user": user, "roles": list(roles)})
        return user

    def tag(self, forum: str, name: str, *, moderated: bool = True) -> str:
        """A tag of a forum, which moderators alone can set if it is moderated."""
        tag = {"id": self._id(), "name": name, "moderated": moderated, "emoji_id": None, "emoji_name": None}
        self.channels[forum]["available_tags"].append(tag)
        return str(tag["id"])

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

    def _user(self, name: str) -> Json:
        return {"id": self._id(), "username": name, "discriminator": "0", "avatar": None, "global_name": None}

    @classmethod
    def _id(cls) -> str:
        cls._last_id = max(cls._last_id + 1, (int(time.time() * 1000) - _EPOCH) << 22)
        return str(cls._last_id)

    def _message(self, channel: str, author: Json, text: str) -> Json:
        message = {"id": self._id(), "channel_id": channel, "author": author, "content": text, "timestamp": now()}
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
            message["member"] = {"roles": [], "joined_at": now(), "deaf": False, "mute": False, "flags": 0}
        return message

    def _keep(self, channel: str, message: Json) -> None:
        self.messages[channel].append(message)
        self.channels[channel]["last_message_id"] = message["id"]

    def _direct_of(self, user_id: str) -> Json:
        return self.channels[self.direct(self._user("someone") | {"id": user_id})]


def now() -> str:
    return datetime.now(UTC).isoformat()
