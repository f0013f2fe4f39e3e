"""What a Telegram message means to the bot: whether it is addressed, by whom, and what is asked. No call is made here."""

from dataclasses import dataclass
from datetime import timedelta

from telegram import Chat, Message, MessageEntity, User
from telegram.constants import ChatType

from bot.adapters.attention import looks_like_a_question
from bot.adapters.telegram.outgoing import Place
from bot.core.messages import Policy

# Users in whose name the service posts what an anonymous admin, or somebody as a channel, has written.
_STANDS_FOR_OTHERS = frozenset((1087968824, 136817688))
_SERVICE_USER = 777000
_NEW_TOPIC = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Command:
    """`/name@bot rest`: `rest` is what comes behind."""

    name: str
    rest: str


def author_of(message: Message) -> str | None:
    """The id of the person, or of the chat in whose name somebody writes. None: nobody who could be answered."""
    sender = message.from_user
    if message.is_automatic_forward or message.via_bot or (sender and sender.id == _SERVICE_USER):
        return None
    if message.sender_chat is not None and (sender is None or sender.id in _STANDS_FOR_OTHERS):
        return str(message.sender_chat.id)
    return None if sender is None or sender.is_bot else str(sender.id)


def place_of(message: Message) -> Place:
    """Where an answer to the message belongs."""
    return Place(message.chat_id, topic_of(message), message.message_id)


def topic_of(message: Message) -> int | None:
    """The topic of a forum; None for the General topic, which must not be named when sending."""
    topic = message.message_thread_id if message.is_topic_message else None
    return None if topic == 1 else topic


def text_of(message: Message) -> str:
    """What somebody has written: the text, or the words below a photo or a document."""
    return message.text or message.caption or ""


def command_in(message: Message, me: User) -> Command | None:
    """The command that a message begins with; None where there is none, or where it is meant for another bot."""
    word = _command_word(message)
    name, _, target = word.removeprefix("/").partition("@")
    if not word or not _is_name_of(target, me):
        return None
    return Command(name.lower(), text_of(message)[len(word) :].strip())


def for_another_bot(message: Message, me: User) -> bool:
    """Whether a message begins with a command that names another bot."""
    return not _is_name_of(_command_word(message).partition("@")[2], me)


def _command_word(message: Message) -> str:
    """`/ask@name` at the beginning of a message, or nothing. Commands are ASCII, so units are characters."""
    for entity in message.entities or message.caption_entities:
        if entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0:
            return text_of(message)[: entity.length]
    return ""


def _is_name_of(target: str, me: User) -> bool:
    return not target or target.lower() == (me.username or "").lower()


def asked_in(message: Message, me: User, policy: Policy) -> str | None:
    """What a message that is no command asks, without the mention of the bot; None where the bot is not addressed.

    A mention without other words, in reply to a message, asks what that message says.
    """
    if message.chat.type == ChatType.PRIVATE:
        return text_of(message).strip()
    text, mentioned = _without_mentions(message, me)
    if mentioned:
        replied = message.reply_to_message
        return text or (text_of(replied).strip() if replied and not _is_from(replied, me) else "")
    overheard = policy is Policy.ALWAYS and not _is_to_somebody_else(message)
    return (
        text
        if replies_to(message, me) or (overheard and (begins_topic(message) or looks_like_a_question(text)))
        else None
    )


def begins_topic(message: Message) -> bool:
    """Whether a message may be the first one of a new topic: it replies to its making, and came soon after."""
    replied = message.reply_to_message
    if not message.is_topic_message or replied is None or replied.forum_topic_created is None:
        return False
    return message.date - replied.date < _NEW_TOPIC


def replies_to(message: Message, me: User) -> bool:
    return message.reply_to_message is not None and _is_from(message.reply_to_message, me)


def replied_text(message: Message) -> str | None:
    """What a message replies to: the quoted words, or the whole message."""
    if message.quote is not None:
        return message.quote.text
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created is not None:  # every message of a topic replies to its beginning
        return None
    return text_of(replied) or None


def _without_mentions(message: Message, me: User) -> tuple[str, bool]:
    """The text without the mentions of the bot, and whether there were any."""
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
    """Whether people talk to each other: a reply to a person, or a mention of one."""
    replied = message.reply_to_message
    if replied is not None and replied.forum_topic_created is None:
        return True
    kinds = (MessageEntity.MENTION, MessageEntity.TEXT_MENTION)
    return any(entity.type in kinds for entity in message.entities or message.caption_entities)


def _is_from(message: Message, user: User) -> bool:
    return message.from_user is not None and message.from_user.id == user.id


def is_group(chat: Chat) -> bool:
    return chat.type in (ChatType.GROUP, ChatType.SUPERGROUP)
