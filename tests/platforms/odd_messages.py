"""Odd messages: hostile texts in all the shapes that a platform gives to messages, each with what people may expect of it.

Each is sent in a place, or by a person, of its own, so that a reply to it can be told from others. Afterwards each message must
have one outcome in the metrics, and those that ask must have a reply, and those that don't must have none.
"""

import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from tests.platforms.both_platforms import BothPlatforms
from tests.platforms.discord_server import DiscordServer, Interaction, Json
from tests.platforms.outcomes import outcomes
from tests.platforms.telegram_server import Chat, TelegramServer

_EVENTS = (6, 7, 8, 18, 21, 46)  # types of messages on Discord that people don't write


class Expected(Enum):
    """What people may expect of a message."""

    REPLY = "a reply"
    SILENCE = "no reply"
    EITHER = "either"  # it depends on the text, or on the order of events


@dataclass(frozen=True)
class Sent:
    """A message that was sent to the bot. `visible` tells whether the bot has reacted to it where people see it."""

    shape: str
    text: str
    expected: Expected
    visible: Callable[[], bool]

    def wrong(self) -> Iterator[str]:
        """What is wrong about the reply to it."""
        if self.expected is not Expected.EITHER and self.visible() is not (self.expected is Expected.REPLY):
            yield f"{self.shape}: {self.expected.value} was due to {self.text!r:.80}"


@dataclass
class OnDiscord:
    """People who send odd messages on Discord."""

    server: DiscordServer
    chance: random.Random
    sent: list[Sent] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        self._channel = ""
        dispatch = self.server.dispatch

        async def dispatch_and_count(event: str, data: Json) -> None:
            edited = event == "MESSAGE_UPDATE" and data.get("edited_timestamp")
            self.events += event == "MESSAGE_CREATE" or bool(edited)
            await dispatch(event, data)

        self.server.dispatch = dispatch_and_count  # type: ignore[method-assign]

    async def begin(self, guild: Json) -> None:
        """Open a channel for what follows: those with many messages are slow to look through."""
        self._channel = self.server.channel(guild)
        await self.server.dispatch("CHANNEL_CREATE", self.server.channels[self._channel])

    async def send(self, text: str) -> None:
        """Send a text in a shape that chance decides."""
        shape = self.chance.choice(self._shapes())
        await shape(text[:1900], self.server.user(text[:32] or "somebody"))

    def _shapes(self) -> list[Callable[[str, Json], Awaitable[None]]]:
        return [
            self._direct,
            self._mention,
            self._mention,
            self._to_everybody,
            self._by_a_bot,
            self._by_a_webhook,
            self._event,
            self._without_words,
            self._reply,
            self._forwarded,
            self._edited,
            self._deleted,
            self._twice,
            self._in_a_thread,
            self._in_no_channel,
            self._by_command,
        ]

    def _note(self, shape: str, text: str, expected: Expected, message: Json) -> None:
        place = message["channel_id"]

        def visible() -> bool:
            in_its_thread = self.server.from_bot(message["id"])
            answered = {str((m.get("message_reference") or {}).get("message_id")) for m in self.server.from_bot(place)}
            return bool(message.get("reactions") or in_its_thread) or message["id"] in answered

        self.sent.append(Sent(shape, text, expected, visible))

    async def _direct(self, text: str, person: Json) -> None:
        message = await self.server.say(self.server.direct(person), text, person)
        self._note("direct message", text, Expected.REPLY, message)

    async def _mention(self, text: str, person: Json) -> None:
        self._note("mention", text, Expected.REPLY, await self.server.say(self._channel, f"@bot {text}", person))

    async def _to_everybody(self, text: str, person: Json) -> None:
        message = await self.server.say(self._channel, text.replace("@bot", ""), person, mention_everyone=True)
        self._note("to everybody", text, Expected.SILENCE, message)

    async def _by_a_bot(self, text: str, _person: Json) -> None:
        other = self.server.user("other", bot=True)
        place = self.chance.choice((self._channel, self.server.direct(other)))
        self._note("by a bot", text, Expected.SILENCE, await self.server.say(place, f"@bot {text}", other))

    async def _by_a_webhook(self, text: str, person: Json) -> None:
        message = await self.server.say(self._channel, f"@bot {text}", person, webhook_id=person["id"])
        self._note("by a webhook", text, Expected.SILENCE, message)

    async def _event(self, text: str, person: Json) -> None:
        kind = self.chance.choice(_EVENTS)
        message = await self.server.say(self._channel, f"@bot {text}", person, type=kind)
        self._note(f"event of type {kind}", text, Expected.SILENCE, message)

    async def _without_words(self, _text: str, person: Json) -> None:
        sticker = {"id": person["id"], "name": "wave", "format_type": 1}
        place = self.chance.choice((self._channel, self.server.direct(person)))
        message = await self.server.say(place, "@bot", person, sticker_items=[sticker])
        self._note("without words", "", Expected.REPLY, message)

    async def _reply(self, text: str, person: Json) -> None:
        first = await self.server.say(self._channel, text.replace("@bot", ""), self.server.user("first"))
        message = await self.server.say(self._channel, "@bot and this?", person, reply_to=first)
        self._note("reply", text, Expected.REPLY, message)

    async def _forwarded(self, text: str, person: Json) -> None:
        snapshot = {"type": 0, "content": text, "embeds": [], "attachments": [], "timestamp": _now(), "flags": 0}
        snapshot |= {"edited_timestamp": None, "mentions": [], "mention_roles": [], "components": []}
        forwarded = {"message_reference": {"type": 1, "channel_id": self._channel, "message_id": person["id"]}}
        forwarded["message_snapshots"] = [{"message": snapshot}]
        message = await self.server.say(self.server.direct(person), "", person, **forwarded)
        self._note("forwarded", text, Expected.REPLY, message)

    async def _edited(self, text: str, person: Json) -> None:
        message = await self.server.say(self._channel, "@bot first?", person)
        self._note("edited", text, Expected.REPLY, message)
        await self.server.edit(message, f"@bot {text}")

    async def _deleted(self, text: str, person: Json) -> None:
        message = await self.server.say(self._channel, f"@bot {text}", person)
        await self.server.delete(message)
        self._note("deleted", text, Expected.SILENCE, message)

    async def _twice(self, text: str, person: Json) -> None:
        message = await self.server.say(self._channel, f"@bot {text}", person, twice=True)
        self._note("twice", text, Expected.REPLY, message)

    async def _in_a_thread(self, text: str, person: Json) -> None:
        thread = (await self.server._open_thread(self._channel, self.server._id(), text[:90] or "-", person["id"]))[
            "id"
        ]
        self._note("in a thread", text, Expected.REPLY, await self.server.say(thread, f"@bot {text}", person))

    async def _in_no_channel(self, text: str, person: Json) -> None:
        """In a channel that is gone: the answer goes to the person."""
        message = self.server._message(self._channel, person, f"<@{self.server.me['id']}> {text}")
        message |= {"channel_id": person["id"], "mentions": [self.server.me]}
        await self.server.dispatch("MESSAGE_CREATE", message)

    async def _by_command(self, text: str, person: Json) -> None:
        options = {"question": text or "?", "private": self.chance.random() < 0.5}
        asked = await self.server.slash(self._channel, person, "ask", options)
        self.sent.append(Sent("command", text, Expected.REPLY, lambda: _answered(asked)))


def _answered(asked: Interaction) -> bool:
    return asked.message is not None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


@dataclass
class OnTelegram:
    """People who send odd messages on Telegram."""

    server: TelegramServer
    chance: random.Random
    sent: list[Sent] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        update = self.server._update

        def update_and_count(kind: str, content: Json) -> int:
            self.events += kind in ("message", "edited_message")
            return update(kind, content)

        self.server._update = update_and_count  # type: ignore[method-assign]

    def send(self, text: str) -> None:
        """Send a text in a shape that chance decides."""
        person = self.server.person(text[:32] or "Somebody")
        self.chance.choice(self._shapes())(text, person)

    def _shapes(self) -> list[Callable[[str, Json], None]]:
        return [
            self._private,
            self._private,
            self._mention,
            self._unaddressed,
            self._command,
            self._command_of_another_bot,
            self._unknown_command,
            self._caption,
            self._without_words,
            self._by_a_bot,
            self._through_a_bot,
            self._event,
            self._moved,
            self._edited,
            self._wrong_entities,
            self._of_unknown_kind,
        ]

    def _note(self, shape: str, text: str, expected: Expected, chat: Chat) -> None:
        self.sent.append(Sent(shape, text, expected, lambda: bool(chat.from_bot)))

    def _private(self, text: str, person: Json) -> None:
        chat = self.server.private(person)
        self.server.says(chat, person, text)
        self._note("private", text, Expected.REPLY, chat)

    def _in_group(self, shape: str, text: str, person: Json, expected: Expected, **data: object) -> None:
        chat = self.server.group(text[:20])
        self.server.update("message", self.server._message(chat, {"from": person, "text": text, **data}))
        self._note(shape, text, expected, chat)

    def _mention(self, text: str, person: Json) -> None:
        chat = self.server.group(text[:20])
        self.server.says(chat, person, f"@keeper_bot {text}")
        self._note("mention", text, Expected.REPLY, chat)

    def _unaddressed(self, text: str, person: Json) -> None:
        self._in_group("unaddressed", text, person, Expected.SILENCE)

    def _command(self, text: str, person: Json) -> None:
        chat = self.server.group(text[:20])
        self.server.says(chat, person, f"/ask {text}")
        self._note("command", text, Expected.REPLY, chat)

    def _command_of_another_bot(self, text: str, person: Json) -> None:
        command = "/ask@other_bot"
        entity = {"type": "bot_command", "offset": 0, "length": len(command)}
        self._in_group("command of another bot", f"{command} {text}", person, Expected.SILENCE, entities=[entity])

    def _unknown_command(self, text: str, person: Json) -> None:
        chat = self.server.private(person)
        self.server.says(chat, person, f"/nothing {text}")
        self._note("unknown command", text, Expected.REPLY, chat)

    def _caption(self, text: str, person: Json) -> None:
        chat = self.server.private(person)
        self.server.sends_photo(chat, person, text[:1024])
        self._note("caption", text, Expected.REPLY, chat)

    def _without_words(self, _text: str, person: Json) -> None:
        chat = self.server.private(person)
        content = self.chance.choice((
            {"dice": {"emoji": "🎲", "value": 3}},
            {"location": {"longitude": 1.5, "latitude": 2.5}},
            {"contact": {"phone_number": "1", "first_name": "Cem"}},
        ))  # fmt: skip
        self.server.update("message", self.server._message(chat, {"from": person, **content}))
        self._note("without words", str(content), Expected.REPLY, chat)

    def _by_a_bot(self, text: str, person: Json) -> None:
        self._in_group("by a bot", f"@keeper_bot {text}", person | {"is_bot": True}, Expected.SILENCE)

    def _through_a_bot(self, text: str, person: Json) -> None:
        other = {"id": 9, "is_bot": True, "first_name": "Other", "username": "other_bot"}
        self._in_group("through a bot", f"@keeper_bot {text}", person, Expected.SILENCE, via_bot=other)

    def _event(self, text: str, person: Json) -> None:
        chat = self.server.group(text[:20])
        content = self.chance.choice(({"new_chat_members": [person]}, {"new_chat_title": text[:100] or "-"}))
        self.server.update("message", self.server._message(chat, {"from": person, **content}))
        self._note("event", text, Expected.SILENCE, chat)

    def _moved(self, text: str, person: Json) -> None:
        old = self.server.group(text[:20], kind="group")
        self._note("moved", text, Expected.SILENCE, self.server.becomes_supergroup(old, person))

    def _edited(self, text: str, person: Json) -> None:
        chat = self.server.private(person)
        message = self.server.says(chat, person, "first?")
        self.server.edits(chat, message, text)
        self._note("edited", text, Expected.REPLY, chat)

    def _wrong_entities(self, text: str, person: Json) -> None:
        chat = self.server.private(person)
        entity = {
            "type": self.chance.choice(("mention", "bot_command", "url", "new_kind")),
            "offset": 5000,
            "length": 9,
        }
        self.server.says(chat, person, text, entities=[entity])
        self._note("wrong entities", text, Expected.REPLY, chat)

    def _of_unknown_kind(self, text: str, person: Json) -> None:
        """A kind of update that the bot has not asked for, and a field that it doesn't know."""
        self.server.update("message_of_tomorrow", {"from": person, "text": text})
        chat = self.server.private(person)
        self.server.says(chat, person, text, field_of_tomorrow={"text": text})
        self._note("unknown field", text, Expected.REPLY, chat)


async def send_odd_messages(
    bot: BothPlatforms, texts: list[str], seed: int
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Send each text on both platforms. Returns the outcomes by platform, and what is wrong."""
    before = {platform: outcomes(platform) for platform in ("discord", "telegram")}
    chance = random.Random(seed)
    on_discord, on_telegram = OnDiscord(bot.discord, chance), OnTelegram(bot.telegram, chance)
    for number, text in enumerate(texts):
        if number % 50 == 0:
            await bot.rest()
            await on_discord.begin(bot.guild)
        await on_discord.send(text)
        on_telegram.send(text)
        if number % 10 == 9:  # as many as wait at once
            await bot.rest()
    await bot.rest()
    counts = {platform: outcomes(platform) - before[platform] for platform in before}
    wrong = [line for crowd in (on_discord, on_telegram) for one in crowd.sent for line in one.wrong()]
    for platform, crowd in (("discord", on_discord), ("telegram", on_telegram)):
        if counts[platform].total() != crowd.events:
            wrong.append(f"{platform}: {counts[platform].total()} outcomes of {crowd.events} messages")
        if failed := counts[platform]["failed"]:
            wrong.append(f"{platform}: {failed} failed")
    return counts, wrong
