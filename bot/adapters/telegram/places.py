"""Places in Telegram where the bot shows something, and the messages it has sent to them."""

from dataclasses import dataclass
from typing import Self

from telegram import Message

from bot.core.messages import Address


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, the topic of a forum (None: General, or no forum), the message to reply to, and the person whose answer it is.

    The messages in a chat wait for each other, and the persons take turns. All that is no answer counts as one person's ("").
    """

    chat: int
    topic: int | None = None
    reply_to: int | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a bot has sent. Its text form `chat:number@bot` is unique: numbers are counted by chat and by bot."""

    chat: int
    number: int
    bot: int

    def __str__(self) -> str:
        return f"{self.chat}:{message_key(self.number, self.bot)}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        chat, _, key = text.partition(":")
        number, _, bot = key.partition("@")
        return cls(int(chat), int(number), int(bot or 0))


def message_key(number: int, bot: int) -> str:
    """The id of a message within its chat, as `number@bot`: another bot over the same data counts from 1 again."""
    return f"{number}@{bot}"


def place_of_reply(message: Message) -> Place:
    """The place of a short reply to a message."""
    return Place(message.chat_id, topic_of(message), message.message_id)


def place_of_answer(address: Address) -> Place:
    """The place of the answer to a question. In a private chat the answer replies to the question only if it comes late."""
    replies = not address.details["private"] or address.details["late"]
    reply_to = int(address.message.partition("@")[0]) if replies else None
    return Place(int(address.chat), address.details["topic"], reply_to, address.details["author"])


def topic_of(message: Message) -> int | None:
    """The topic of a forum; None for the General topic, which must not be named when sending."""
    topic = message.message_thread_id if message.is_topic_message else None
    return None if topic == 1 else topic
