"""Reads Telegram messages: their author, their command, and whether they address the bot. Makes no calls."""

from dataclasses import dataclass
from datetime import timedelta

from telegram import Chat, Message, MessageEntity, User
from telegram.constants import ChatType

from bot.adapters.attention import looks_like_a_question
from bot.adapters.telegram.places import topic_of
from bot.core.messages import Address, Policy

PLATFORM = "telegram"
# Users in whose name the service posts the messages of anonymous admins and of people who write as a channel.
_STANDS_FOR_OTHERS = frozenset((1087968824, 136817688))
_SERVICE_USER = 777000
_NEW_TOPIC = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as `/name@bot rest`, the name in lower case."""

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The author of a message, with its chat, the conversation that it belongs to, and the text that it replies to."""

    author: str
    chat: int
    private: bool
    conversation: str
    replied: str = ""


def caller_of(message: Message, author: str, *, shared_conversations: bool) -> Caller:
    """Return the caller of a message. In a group each author has a conversation of their own, unless these are shared."""
    private = message.chat.type == ChatType.PRIVATE
    conversation = f"{PLATFORM}:{message.chat_id}:{topic_of(message) or ''}"
    if not private and not shared_conversations:
        conversation += f":{author}"
    return Caller(author, message.chat_id, private, conversation, replied_text(message) or "")


def address_of(caller: Caller) -> Address:
    """Return the address of a caller's chat, by which documents are shown or hidden."""
    return Address(PLATFORM, str(caller.chat), "")


def author_of(message: Message) -> str | None:
    """Return the id of the person, or of the chat in whose name they write; None for bots and the service itself."""
    sender = message.from_user
    if message.is_automatic_forward or message.via_bot or (sender and sender.id == _SERVICE_USER):
        return None
    if message.sender_chat is not None and (sender is None or sender.id in _STANDS_FOR_OTHERS):
        return str(message.sender_chat.id)
    return None if sender is None or sender.is_bot else str(sender.id)


def text_of(message: Message) -> str:
    """Return the text of a message, or the caption of its photo or document."""
    return message.text or message.caption or ""


def command_in(message: Message, me: User) -> Command | None:
    """Return the command at the beginning of a message; None if there is none, or if it is for another bot."""
    word = _command_word(message)
    name, _, target = word.removeprefix("/").partition("@")
    if not word or not _is_name_of(target, me):
        return None
    return Command(name.lower(), text_of(message)[len(word) :].strip())


def for_another_bot(message: Message, me: User) -> bool:
    """Whether a message begins with a command that names another bot."""
    return not _is_name_of(_command_word(message).partition("@")[2], me)


def _command_word(message: Message) -> str:
    """Return `/ask@name` at the beginning of a message, or "". Commands are ASCII, so units are characters."""
    for entity in message.entities or message.caption_entities:
        if entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0:
            return text_of(message)[: entity.length]
    return ""


def _is_name_of(target: str, me: User) -> bool:
    return not target or target.lower() == (me.username or "").lower()


def question_text(message: Message, me: User, policy: Policy) -> str | None:
    """Return the question in a message that is no command, without mentions; None if it doesn't address the bot.

    If a reply consists of a mention only, the question is the text of the message that it replies to, or the part that it
    quotes.
    """
    if message.chat.type == ChatType.PRIVATE:
        return text_of(message).strip()
    text, mentioned = _without_mentions(message, me)
    if mentioned:
        return text or ("" if replies_to(message, me) else (replied_text(message) or "").strip())
    if replies_to(message, me) or (policy is Policy.ALWAYS and _may_answer_unasked(message, text)):
        return text
    return None


def _may_answer_unasked(message: Message, text: str) -> bool:
    """Whether a message that doesn't address the bot begins a topic, or asks a question of everybody."""
    return not _is_to_somebody_else(message) and (begins_topic(message) or looks_like_a_question(text))


def is_unasked(message: Message, me: User) -> bool:
    """Whether a message that is no command neither addresses the bot nor begins a topic."""
    addressed = message.chat.type == ChatType.PRIVATE or _without_mentions(message, me)[1] or replies_to(message, me)
    return not addressed and not begins_topic(message)


def begins_topic(message: Message) -> bool:
    """Whether a message may be the first of a topic: it replies to the creation of the topic, within an hour."""
    replied = message.reply_to_message
    if not message.is_topic_message or replied is None or replied.forum_topic_created is None:
        return False
    return message.date - replied.date < _NEW_TOPIC


def replies_to(message: Message, me: User) -> bool:
    """Whether a message replies to a message of the bot."""
    return message.reply_to_message is not None and _is_from(message.reply_to_message, me)


def replied_text(message: Message) -> str | None:
    """Return the words that a reply quotes, or the whole text that it replies to; None if the message is no reply."""
    if message.quote is not None:
        return message.quote.text
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created is not None:  # every message of a topic replies to its beginning
        return None
    return text_of(replied) or None


def _without_mentions(message: Message, me: User) -> tuple[str, bool]:
    """Return the text without the mentions of the bot, and whether it mentions the bot."""
    text = text_of(message)
    found = message.parse_entities() if message.text else message.parse_caption_entities()
    mine = [
        entity
        for entity, shown in found.items()
        if (entity.type == MessageEntity.MENTION and shown.lower() == f"@{me.username}".lower())
        or (entity.type == MessageEntity.TEXT_MENTION and entity.user is not None and entity.user.id == me.id)
    ]
    units = text.encode("utf-16-le")
    for entity in sorted(mine, key=lambda entity: entity.offset, reverse=True):
        units = units[: entity.offset * 2] + units[(entity.offset + entity.length) * 2 :]
    return units.decode("utf-16-le", "replace").strip(" \n,:;"), bool(mine)


def _is_to_somebody_else(message: Message) -> bool:
    """Whether a message replies to or mentions another person. A comment below a post of a channel is to everybody."""
    replied = message.reply_to_message
    if replied is not None and replied.forum_topic_created is None and not replied.is_automatic_forward:
        return True
    kinds = (MessageEntity.MENTION, MessageEntity.TEXT_MENTION)
    return any(entity.type in kinds for entity in message.entities or message.caption_entities)


def _is_from(message: Message, user: User) -> bool:
    return message.from_user is not None and message.from_user.id == user.id


def is_group(chat: Chat) -> bool:
    """Whether a chat is a group of either kind: no private chat and no channel."""
    return chat.type in (ChatType.GROUP, ChatType.SUPERGROUP)
