"""The books of a sequence of events: which questions were asked, and what is wrong about the bot's answers to them."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.platforms.both_platforms import BothPlatforms
from tests.platforms.discord_server import Interaction, Json
from tests.platforms.telegram_server import Chat

TAKEN_IN = 2.0
"""Seconds after which the bot has taken in an event, also on a busy machine."""

_NUMBER = re.compile(r"\bq(\d+)v(\d+)\b")
_MARKED = "sent again"


@dataclass
class AskedQuestion:
    """A question that somebody has asked, and what they have done with it since."""

    number: int
    by: Json
    where: str | Chat
    source: Json | Interaction
    version: int = 0
    deleted_at: float = 0.0
    told: bool = True  # whether the bot has seen the deletion
    stopped: bool = False
    stopped_earlier: bool = False  # in a form before the present one
    restarted: bool = False  # a placeholder that was on its way may stand beside the answer
    # Whether the bot may never have heard of it: no list of Discord's has the direct conversation that it begins.
    unheard: bool = False
    asked_at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        return f"q{self.number}v{self.version}"

    @property
    def was_refused(self) -> bool:
        """Whether Discord has told the person that no bot was there."""
        return isinstance(self.source, Interaction) and self.source.response is None


@dataclass
class Record:
    """The chats of one sequence, and the questions that were asked there."""

    bot: BothPlatforms
    seed: int
    asked: list[AskedQuestion] = field(default_factory=list)
    lossy: bool = False  # what buttons show may come twice

    def __post_init__(self) -> None:
        discord, telegram = self.bot.discord, self.bot.telegram
        self.ann, self.cem = discord.user("ann"), telegram.person("Cem")
        self.channel = discord.channel(self.bot.guild, f"channel-{self.seed}")
        self.direct = discord.direct(self.ann)
        self.group = telegram.group(f"group {self.seed}")
        self.private = telegram.private(self.cem)

    def places(self) -> list[str]:
        """The channels of Discord in which the bot may have written."""
        return [self.channel, self.direct, *self.threads()]

    def threads(self) -> list[str]:
        messages = [
            asked.source["id"] for asked in self.asked if isinstance(asked.source, dict) and "id" in asked.source
        ]
        return [message for message in messages if message in self.bot.discord.channels]


class Checks:
    """Finds what is wrong after a sequence, once everything has come to rest."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, in words."""
        for asked in self._record.asked:
            said = list(self._said_to(asked))
            if asked.deleted_at:
                yield from self._wrong_after_deletion(asked, said)
            else:
                yield from self._wrong_beside(asked, said)
        on_discord = [asked for asked in self._record.asked if isinstance(asked.where, str)]
        yield from self._wrong_about_stopping(on_discord, list(self._texts_on_discord()))
        for chat in (self._record.private, self._record.group):
            yield from self._wrong_about_stopping([one for one in self._record.asked if one.where is chat], chat.texts)
            yield from self._wrong_about_taps(chat)

    def _wrong_about_stopping(self, together: list[AskedQuestion], texts: list[str]) -> Iterator[str]:
        """Each question without an answer was stopped, and says so; `together`: those in the places with these `texts`."""
        unanswered = [
            asked
            for asked in together
            if not (asked.deleted_at or asked.was_refused)
            and asked.stopped
            and not any("re: " in text for text in self._said_to(asked))
        ]
        stopped = [text for text in texts if "Stopped." in text]
        if len(stopped) < sum(not asked.unheard for asked in unanswered):
            yield f"one of {[asked.text for asked in unanswered]}: lost among {texts}, {len(stopped)} were stopped"
        stopped = [text for text in stopped if _MARKED not in text]
        # One whose arrival was in doubt may stand above the marked answer to the question as it was edited then.
        in_doubt = sum(
            asked.stopped_earlier and any(_MARKED in text and "re: " in text for text in self._said_to(asked))
            for asked in together
        )
        if len(stopped) > len(unanswered) + in_doubt and not any(asked.deleted_at for asked in together):
            yield f"{len(stopped)} say that they were stopped, {len(unanswered)} have no answer"

    def _wrong_about_taps(self, chat: Chat) -> Iterator[str]:
        """What a button shows below an answer, it shows once."""
        mine = {message["message_id"] for message in chat.from_bot}
        shown = Counter(
            (message["reply_to_message"]["message_id"], message["text"])
            for message in chat.from_bot
            if message.get("reply_to_message", {}).get("message_id") in mine
        )
        if not self._record.lossy and (twice := [text for text, count in shown.items() if count > 1]):
            yield f"shown twice: {twice}"

    def _wrong_beside(self, asked: AskedQuestion, said: list[str]) -> Iterator[str]:
        """What is wrong about the answer to a question that stands."""
        if asked.was_refused:
            return
        shared = [text for text in said if text.startswith("> ann")]  # by the button; others quote no name
        answers = [text for text in said if "re: " in text and text not in shared]
        if any(_MARKED in text for text in answers):  # an earlier form may stand above the one that says so
            answers = [text for text in answers if asked.text in text] or answers
        if asked.stopped and any(_MARKED in text and "Stopped." in text for text in self._texts(asked)):
            answers = [text for text in answers if asked.text in text]
        clean = [text for text in answers if _MARKED not in text]
        if (drafts := [text for text in said if "draft: " in text]) and not asked.restarted:
            yield f"{asked.text}: left over {drafts}"
        if any(asked.text not in text for text in answers):
            yield f"{asked.text}: answered in an earlier form {answers}"
        if not answers and not (asked.stopped or asked.unheard):  # those that were stopped are counted
            yield f"{asked.text}: lost among {list(self._texts(asked))}"
        if len(shared) > 1 and not asked.restarted:
            yield f"{asked.text}: shared twice {shared}"
        if len(clean) > 1:
            yield f"{asked.text}: doubled {answers}"

    def _wrong_after_deletion(self, asked: AskedQuestion, said: list[str]) -> Iterator[str]:
        if asked.restarted:
            said = [text for text in said if "draft: " not in text]
        if asked.told and said:
            yield f"{asked.text}: orphaned {said}"
        late = [
            request
            for request in self._record.bot.discord.requests
            if request.method == "POST"
            and request.at > self._record.bot.withdrawn.get(asked.source["id"], math.inf) + TAKEN_IN  # type: ignore[index]
            and isinstance(request.body, dict)
            # A late placeholder is taken back, see above.
            and f"re: q{asked.number}v" in str(request.body.get("content"))
        ]
        if asked.told and late:
            after = late[0].at - self._record.bot.withdrawn[asked.source["id"]]  # type: ignore[index]
            yield f"{asked.text}: {late[0].body} sent to {late[0].path} {after:.1f} s after its deletion"

    def _said_to(self, asked: AskedQuestion) -> Iterator[str]:
        """The texts of the bot that name a question, each once."""
        for text in self._texts(asked):
            if any(number == str(asked.number) for number, _ in _NUMBER.findall(text)):
                yield text

    def _texts(self, asked: AskedQuestion) -> Iterator[str]:
        if isinstance(asked.where, Chat):
            yield from asked.where.texts
            return
        yield from self._texts_on_discord()

    def _texts_on_discord(self) -> Iterator[str]:
        for asked in self._record.asked:
            if isinstance(asked.source, Interaction) and asked.source.ephemeral:
                yield from (m["content"] for m in (asked.source.message, *asked.source.followups) if m)
        for channel in self._record.places():
            yield from (message["content"] for message in self._record.bot.discord.from_bot(channel))
