"""The people of a local Discord, as the test plays them."""

from typing import Any

from tests.platforms.discord_chats import Json, now
from tests.platforms.discord_interactions import Interaction, Interactions


class People(Interactions):
    """Each method is an act of a user, and sends the bot the event of it."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    # --- messages

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

    async def post(self, forum: str, title: str, text: str, author: Json, *, tags: tuple[str, ...] = ()) -> Json:
        """Somebody opens a post in a forum: a thread whose first message has its id."""
        thread = await self._open_thread(forum, self._id(), title, author["id"])
        thread["applied_tags"] = list(tags)
        message = self._message(thread["id"], author, text) | {"id": thread["id"]}
        self._keep(thread["id"], message)
        await self.dispatch("MESSAGE_CREATE", message)
        return message

    async def edit(self, message: Json, text: str) -> None:
        message |= {"content": text.replace("@bot", f"<@{self.me['id']}>"), "edited_timestamp": now()}
        await self.dispatch("MESSAGE_UPDATE", message)

    # --- commands and buttons

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

    # --- servers

    async def change_roles(self, guild: Json, roles: list[str]) -> None:
        """The bot gets more roles. It is told this of itself without any intent."""
        member = guild["members"][0]
        member["roles"] = [*member["roles"], *roles]
        await self.dispatch("GUILD_MEMBER_UPDATE", member | {"guild_id": guild["id"], "nick": None, "avatar": None})

    async def remove_channel(self, channel: str) -> None:
        data = self.channels.pop(channel)
        if data["type"] not in (10, 11, 12):
            self.guilds[data["guild_id"]]["channels"].remove(data)
        await self.dispatch("CHANNEL_DELETE", data)


def _option_type(value: object) -> int:
    return 5 if isinstance(value, bool) else 3
