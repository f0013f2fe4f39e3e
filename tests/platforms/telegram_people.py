"""The people of a local Telegram, as the test plays them."""

import re
import time
from typing import Any

from tests.platforms.telegram_chats import SERVICE, Chat, Json, if_any
from tests.platforms.telegram_interactions import Interactions
from tests.platforms.telegram_markup import units


class People(Interactions):
    """Each method is an act of a user, and makes an update for the bot if the bot may know of it."""

    # --- messages

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

    # --- buttons and inline queries

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

    # --- chats

    def blocks(self, person: Json) -> None:
        self._changes_standing(self.private(person), person, "kicked")

    def unblocks(self, person: Json) -> None:
        self._changes_standing(self.private(person), person, "member")

    def removes_bot(self, chat: Chat, person: Json) -> None:
        self._changes_standing(chat, person, "kicked")

    def adds_bot(self, chat: Chat, person: Json) -> None:
        self._changes_standing(chat, person, "member")

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


def _typed_entities(which: str, text: str) -> Json:
    """The entities that an app makes of what somebody types: commands, mentions and addresses."""
    name = "entities" if which == "text" else "caption_entities"
    kinds = {"bot_command": r"(?<!\S)/\w{1,64}(?:@\w+)?", "mention": r"(?<!\w)@\w{5,32}", "url": r"https?://\S+"}
    found = [
        {"type": kind, "offset": units(text[: match.start()]), "length": units(match[0])}
        for kind, pattern in kinds.items()
        for match in re.finditer(pattern, text)
    ]
    return if_any(name, found)


def _membership(bot: Json, status: str) -> Json:
    return {"user": bot, "status": status} | ({"until_date": 0} if status == "kicked" else {})
