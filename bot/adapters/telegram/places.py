"""Places to which the bot sends messages, and the messages that it has sent."""

from dataclasses import dataclass
from typing import Self

from telegram import Message

from bot.core.messages import Address


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, its topic (None: General, or no forum), the message to reply to, and the person whose answer it is.

    `person`: key of the chat's fair queue; "" for messages that are no answers. `to_question`: the message to reply to is the
    question, so that nothing is sent after its deletion, of which Telegram sends no update.
    """

    chat: int
    topic: int | None = None
    reply_to: int | None = None
    person: str = ""
    to_question: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a bot has sent. Its text form is `chat:number@bot`: numbers are counted by chat and by bot."""

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
    """Return the id of a message in its chat, `number@bot`: each bot counts the messages of its chats from 1."""
    return f"{number}@{bot}"


def place_of_reply(message: Message) -> Place:
    """Return the place of a short reply to a message."""
    return Place(message.chat_id, topic_of(message), message.message_id)


def place_of_answer(address: Address) -> Place:
    """Return the place of the answer to a question. In a private chat it is a reply only if it comes late."""
    replies = not address.details["private"] or address.details["late"]
    reply_to = int(address.message.partition("@")[0]) if replies else None
    return Place(int(address.chat), address.details["topic"], reply_to, address.details["author"], to_question=True)


def topic_of(message: Message) -> int | None:
    """Return the topic of a message; None for General, which must not be named when sending."""
    topic = message.message_thread_id if message.is_topic_message else None
    return None if topic == 1 else topic
