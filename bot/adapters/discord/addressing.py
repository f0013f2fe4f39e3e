"""Reads Discord messages: their author, and whether they address the bot. Makes no calls."""

from collections.abc import Collection

import discord

from bot.core.discord_codes import without_codes
from bot.core.messages import Address, Policy

PLATFORM = "discord"
_WRITTEN = (discord.MessageType.default, discord.MessageType.reply)  # by people; other types report events
_PASTE = "message.txt"
_LONGEST_PASTE = 100_000  # bytes


def author_of(message: discord.Message, proxies: Collection[int]) -> str | None:
    """Return the id of the person who has written a message, perhaps through one of the `proxies`; None for all others."""
    if message.type not in _WRITTEN:
        return None
    by_person = message.application_id in proxies if message.webhook_id is not None else not message.author.bot
    return str(message.author.id) if by_person else None


def addresses(message: discord.Message, me: discord.abc.User) -> bool:
    """Whether a message is for the bot by itself: in private, by a mention, or as a reply to a message of the bot."""
    return message.guild is None or _mentions(message, me) or replies_to(message, me)


def may_answer_unasked(message: discord.Message, policy: Policy, me: discord.abc.User) -> bool:
    """Whether the bot may answer a message that doesn't address it: never one within a talk between people."""
    if not _says_something(message):
        return False
    if opens_post(message):
        return policy in (Policy.FORUM, Policy.ALWAYS)
    if message.reference is not None or message.mention_everyone or message.role_mentions:
        return False
    if any(user.id != me.id for user in message.mentions):
        return False
    return policy is Policy.ALWAYS or _takes_part(message.channel, me)


def is_unasked(message: discord.Message, me: discord.abc.User) -> bool:
    """Whether a message that doesn't address the bot is no part of what is said to it either."""
    return not (opens_post(message) or _takes_part(message.channel, me))


def parent_of(channel: object) -> int | None:
    """Return the channel above a public thread, which may show the messages of the thread, or None."""
    if not isinstance(channel, discord.Thread) or channel.is_private():
        return None
    return channel.parent_id if isinstance(channel.parent, discord.TextChannel) else None


def conversation_in(channel: object, author: int, *, private: bool = False) -> str:
    """Return the id of a conversation: each thread and direct chat is one, in other channels each author has one."""
    chat = getattr(channel, "id", 0)
    if private:
        return f"{PLATFORM}:{chat}:{author}:private"
    shared = isinstance(channel, discord.Thread | discord.DMChannel | discord.GroupChannel)
    return thread_conversation(str(chat)) if shared else channel_conversation(str(chat), str(author))


def thread_conversation(thread: str) -> str:
    """Return the id of the conversation of all people in a thread or a direct chat."""
    return f"{PLATFORM}:{thread}"


def channel_conversation(channel: str, author: str) -> str:
    """Return the id of the conversation of one person in a channel."""
    return f"{PLATFORM}:{channel}:{author}"


def address_of(interaction: discord.Interaction) -> Address:
    """Return the address of an interaction's channel, by which documents are shown or hidden."""
    return Address(PLATFORM, str(interaction.channel_id or 0), "", {"server": interaction.guild_id})


def chats_of(channel: object) -> list[str]:
    """Return the ids of a channel and of its parents, under which a policy may be stored, the most specific first."""
    ids = [getattr(channel, name, None) for name in ("id", "parent_id", "category_id")]
    guild = getattr(channel, "guild", None)
    return [str(chat) for chat in (*ids, guild and guild.id) if chat]


def _takes_part(channel: object, me: discord.abc.User) -> bool:
    """Whether the channel is a thread that the bot has opened or joined, but no post of a forum."""
    if not isinstance(channel, discord.Thread):
        return False
    return channel.owner_id == me.id or (
        channel.me is not None and not isinstance(channel.parent, discord.ForumChannel)
    )


def opens_post(message: discord.Message) -> bool:
    """Whether a message is the first one of a forum post, whose id it has."""
    channel = message.channel
    return (
        isinstance(channel, discord.Thread)
        and channel.id == message.id
        and (isinstance(channel.parent, discord.ForumChannel))
    )


def _says_something(message: discord.Message) -> bool:
    """Whether a message has words, or opens a post, whose title asks."""
    return bool(text_of(message)) or opens_post(message) or paste_in(message) is not None


def text_of(message: discord.Message) -> str:
    """Return the content of a message, or of the message that it forwards."""
    return message.content or next((forwarded.content for forwarded in message.message_snapshots), "")


def paste_in(message: discord.Message) -> discord.Attachment | None:
    """Return the file that Discord's client makes of a pasted text that is too long for a message, or None."""
    files = [file for file in message.attachments if file.filename == _PASTE and file.size <= _LONGEST_PASTE]
    return files[0] if files and not message.content else None


def _mentions(message: discord.Message, me: discord.abc.User) -> bool:
    role = message.guild.self_role if message.guild else None  # people often pick this role, which has the bot's name
    return any(user.id == me.id for user in message.mentions) or (role is not None and role in message.role_mentions)


def replies_to(message: discord.Message, me: discord.abc.User) -> bool:
    """Whether a message replies to a message of the bot."""
    replied = message.reference.resolved if message.reference else None
    return isinstance(replied, discord.Message) and replied.author.id == me.id


def replied_ids(message: discord.Message, me: discord.abc.User) -> tuple[str, ...]:
    """Return the ids that the message to which a message replies has if the bot has sent it: in its place, or elsewhere.

    There are none if a message is no reply, or if somebody else than the bot has written that message for certain.
    """
    reference = message.reference
    if reference is None or reference.message_id is None or reference.type is not discord.MessageReferenceType.reply:
        return ()
    replied = reference.resolved
    if isinstance(replied, discord.Message) and replied.author.id != me.id:
        return ()
    return str(reference.message_id), f"{reference.message_id}@{reference.channel_id}"


def replied_text(message: discord.Message, me: discord.abc.User) -> str | None:
    """Return the text of the message that this one replies to, if another person than the bot wrote it."""
    replied = message.reference.resolved if message.reference else None
    if not isinstance(replied, discord.Message) or replied.author.id == me.id:
        return None
    return readable(replied, text_of(replied)) or None


def question_text(message: discord.Message, me: discord.abc.User) -> str:
    """Return the question in a message, without mentions of the bot; empty if it only mentions the bot."""
    text = text_of(message).replace(f"<@{me.id}>", " ").replace(f"<@!{me.id}>", " ")
    if message.guild and message.guild.self_role:
        text = text.replace(message.guild.self_role.mention, " ")
    text = readable(message, text)
    if opens_post(message) and isinstance(message.channel, discord.Thread):
        return f"{message.channel.name}\n{text}".strip()
    return text


def readable(message: discord.Message, text: str) -> str:
    """Replace Discord's codes in the text of a message: those for emoji, people, roles, channels and commands by names."""
    guild = message.guild
    names = {str(user.id): user.display_name for user in message.mentions}

    def role(number: str) -> str | None:
        found = guild.get_role(int(number)) if guild else None
        return found.name if found else None

    def channel(number: str) -> str | None:
        found = guild.get_channel_or_thread(int(number)) if guild else None
        return found.name if found else None

    return without_codes(text, person=names.get, role=role, channel=channel).strip()
