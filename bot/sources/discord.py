"""Channels of Discord as a source: posts that the staff has marked as solved, as questions with their answers.

The operator names the channels, the roles of the staff, and what marks an answer: a reaction of the staff, or a tag of the
forum that moderators alone can set. Each post with an answer becomes a file with one stored pair, without its authors. What was
deleted, or has lost its mark, is gone with the next fetch; a channel that can't be read keeps the posts that it had.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.discord_codes import without_codes, without_people
from bot.core.errors import SourceError
from bot.core.settings import SourceSettings
from bot.knowledge.formats.decoding import well_formed
from bot.knowledge.formats.exports.export import fit
from bot.sources.discord_api import DiscordServer, Gone, Json, Withheld, open_server
from bot.sources.left_out import LeftOut
from bot.sources.store import Draft

_LONGEST = 6 * 3600.0  # seconds of one fetch
_FORUMS = (15, 16)  # types of channels: forum, media
_TEXT = (0, 5)  # text, news
_WRITTEN = (0, 19)  # types of messages: by themselves, and as a reply
_STARTER = 21  # the message that a thread was opened on, which stands in another channel
_FEWEST_WORDS = 3  # of a question: shorter ones are greetings and thanks
_LONGEST_QUESTION = 500  # characters of the text below the title of a post, the rest of which is seldom a question
_EVERYBODY = "@everyone"
_SUFFIX = ".jsonl"
_CONTENT = ("content", "attachments", "embeds", "components", "poll")  # what needs the Message Content intent
_OTHER_CONTENT = ("sticker_items", "message_snapshots", "activity")
_VARIANT = "\ufe0f"  # asks for the picture of a character, and is written or not
_LONGEST_TEXT = 4000  # characters, which no message of Discord exceeds
# Addresses of mail, but not versions such as react@18.2.0. Numbers of phones with their country: with a plus, or with 00 and in
# groups, because codes and GUIDs begin with zeros too.
_ADDRESSES = re.compile(
    r"""(?<![\w.+-]) (?:
        [\w.+-]+ @ (?!v?\d+\.(?:\d|x\b)) (?:[\w-]+\.)+ [^\W\d_]{2,} (?!\w)
        | \+ (?:[ ()/.-]{0,3}\d){8,}
        | (?=(?:[ ()/.-]{0,3}\d){9}) 00[ ]?[1-9]\d{0,3} (?:[ ()/.-]{1,3}\d+)+ (?![\w-])
    )""",
    re.VERBOSE,
)


async def fetch_discord(
    source: SourceSettings, token: str, draft: Draft, before: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], str]:
    """Read the solved posts of channels into the draft. `before` is the manifest of the last fetch.

    Returns the entries for the manifest of this fetch, notes on posts that were left out, and why channels could not be read,
    empty if all were. Raises SourceError.
    """
    known: Mapping[str, Mapping[str, str]] = before.get("posts", {})
    async with open_server(token, source.server, source.requests_per_second) as server:
        reading = _Reading(
            source, server, {state["channel"]: state["parent"] for state in known.values() if "parent" in state}
        )
        try:
            async with asyncio.timeout(_LONGEST):
                found = {channel: await reading.posts(str(channel)) for channel in source.channels}
        except TimeoutError as error:
            raise SourceError(f"reading it takes more than {_LONGEST / 3600:g} hours; lower pages") from error
    if reading.empty > 1 and not reading.filled:
        raise SourceError(
            "Discord gives the bot no content of messages; turn the Message Content intent on in the Developer Portal "
            "(Bot, Privileged Gateway Intents)"
        )
    problem = "; ".join(reading.problems)
    if all(posts is None for posts in found.values()):  # so that it is tried again soon
        raise SourceError(problem)
    posts = await asyncio.to_thread(_write, found, known, draft)
    notes = reading.left_out.notes()
    if not posts and not known:
        raise SourceError("; ".join(["no post has an answer that the staff has marked", *reading.problems, *notes]))
    return {"server": source.server, "posts": posts}, notes, problem


@dataclass(frozen=True, slots=True)
class _Post:
    """A solved post. `parent` is the id of its channel, and `folder` the name."""

    thread: str
    parent: str
    folder: str
    title: str
    question: str
    answer: str
    address: str


def _write(
    found: Mapping[int, Sequence[_Post] | None], known: Mapping[str, Mapping[str, str]], draft: Draft
) -> dict[str, dict[str, str]]:
    """Write the posts of each channel into the draft, and keep those of channels that could not be read. Blocking.

    Returns the file of each post by the id of its thread, with the channel of the settings and the one that it stands in.
    """
    posts: dict[str, dict[str, str]] = {}
    read = {post.thread for of_channel in found.values() for post in of_channel or ()}
    for thread, state in known.items():
        if thread not in read and found.get(int(state["channel"]), ()) is None and draft.has(state["file"]):
            draft.keep(state["file"], state["address"])
            posts[thread] = dict(state)
    taken = {path.lower() for path in draft.addresses}
    for channel, of_channel in found.items():
        for post in sorted(of_channel or (), key=lambda post: int(post.thread)):
            path = _free_path(post, taken)
            line = json.dumps({"question": post.question, "answer": post.answer}, ensure_ascii=False)
            draft.write(path, f"{line}\n".encode(), post.address)
            state = {"file": path, "channel": str(channel), "parent": post.parent, "address": post.address}
            posts[post.thread] = state
    return posts


def _free_path(post: _Post, taken: set[str]) -> str:
    """Return the path of a post, with a number if another one has the same title, and add it to those taken."""
    number = 1
    while True:
        counted = f" ({number})" if number > 1 else ""
        path = f"{fit(post.folder)}/{fit(post.title)}{counted}{_SUFFIX}"
        if path.lower() not in taken:
            taken.add(path.lower())
            return path
        number += 1


@dataclass(slots=True)
class _Reading:
    """One reading of the channels. `problems` says of each channel that could not be read why.

    `parents` are the channels in which threads stood at the last fetch, by the ids of the threads. `read` are those of which
    there is a post already, and `left` is how many may be read yet. `empty` and `filled` count the messages of people without
    content, and with content that doesn't come to every bot.
    """

    source: SourceSettings
    server: DiscordServer
    parents: Mapping[str, str]
    left_out: LeftOut = field(default_factory=lambda: LeftOut("post"))
    problems: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    left: int = field(init=False)
    empty: int = 0
    filled: int = 0

    def __post_init__(self) -> None:
        self.left = self.source.pages

    async def posts(self, number: str) -> list[_Post] | None:
        """Return the solved posts of a channel or thread; None if it can't be read now."""
        channel = self.server.channels.get(number)
        try:
            threads = None if channel else [await self.server.thread(number)]
            channel = channel or self.server.channels.get(threads[0]["parent_id"] if threads else "")
            if channel is None:
                raise Gone
            if not self._may_read(channel):
                return []
            if channel["type"] not in (*_FORUMS, *_TEXT):
                raise Withheld("it is neither a forum nor a text channel")
            staff, tags = self._staff(), self._tags(channel)
            threads = threads or await self.server.threads(number)
            threads = [thread for thread in threads if thread["id"] not in self.read]
            posts = [post async for post in self._solved(threads, channel, staff, tags)]
            self.read |= {post.thread for post in posts}
            return posts
        except Gone:
            return self._nothing(number)
        except Withheld as reason:
            if channel is None and number in self.parents:  # where it stands is known all the same
                parent = self.server.channels.get(self.parents[number])
                if parent is None:
                    return self._nothing(number)
                if not self._may_read(parent):
                    return []
            name = f"#{channel['name']}" if channel else f"the channel {number}"
            self.problems.append(f"{name} can't be read: {reason}")
            return None

    def _nothing(self, number: str) -> list[_Post]:
        self.problems.append(f"there is no channel or thread {number} (any more); check the setting channels")
        return []

    def _may_read(self, channel: Json) -> bool:
        """Return whether a channel may be read, and note it if not."""
        if self.source.private or self.server.is_seen_by_all(channel):
            return True
        self.problems.append(
            f"#{channel['name']} is not read, because not everybody on the server sees it and its history; "
            "private = true allows it"
        )
        return False

    def _staff(self) -> frozenset[str]:
        """Return the ids of the roles of the staff. Raises SourceError if there is no such role."""
        roles = self.server.roles
        chosen = set()
        for wanted in self.source.staff:
            fitting = [number for number, role in roles.items() if wanted.strip() in (number, role["name"])]
            if not fitting or self.server.id in fitting:
                names = ", ".join(role["name"] for role in roles.values() if role["name"] != _EVERYBODY)
                raise SourceError(f"{wanted} is no role of the staff; check its setting staff. The server has: {names}")
            if len(fitting) > 1:
                raise SourceError(f"several roles are called {wanted}; name one by its id: {', '.join(fitting)}")
            chosen.add(fitting[0])
        return frozenset(chosen)

    def _tags(self, channel: Json) -> frozenset[str] | None:
        """Return the ids of the tags that solved posts have in a channel; None if they need none."""
        if not self.source.tags or (channel["type"] in _TEXT and self.source.accepted):
            return None
        wanted = {name.strip().casefold() for name in self.source.tags}
        tags = [tag for tag in channel.get("available_tags") or () if tag["name"].strip().casefold() in wanted]
        if not tags:
            raise Withheld(f"it has no tag {' or '.join(self.source.tags)}; check the setting tags")
        for tag in tags:
            if not self.source.accepted and not tag["moderated"]:
                raise Withheld(
                    f"everybody can set its tag {tag['name']}: let only moderators set it, or set accepted as well"
                )
        return frozenset(tag["id"] for tag in tags)

    async def _solved(
        self, threads: Sequence[Json], channel: Json, staff: frozenset[str], tags: frozenset[str] | None
    ) -> AsyncIterator[_Post]:
        for thread in threads:
            if tags is not None and tags.isdisjoint(thread.get("applied_tags") or ()):
                self.left_out.add("left out (no tag of solved posts)", self._address(thread["id"]))
                continue
            self.left -= 1
            if self.left < 0:
                self.left_out.add(
                    f"not read, because {self.source.pages} are read at most", self._address(thread["id"])
                )
                continue
            try:
                messages = [_starting(message) for message in await self.server.messages(thread["id"])]
                post = await self._post(thread, messages, channel, staff)
            except Gone:
                continue  # deleted since it was listed
            if isinstance(post, str):
                self.left_out.add(f"left out ({post})", self._address(thread["id"]))
            else:
                yield post

    async def _post(self, thread: Json, messages: Sequence[Json], channel: Json, staff: frozenset[str]) -> _Post | str:
        """Return a post with its answer, or why it isn't read."""
        written = [message for message in messages if _by_a_person(message)]
        for message in written:
            if any(map(message.get, _CONTENT)):
                self.filled += not message.get("mentions")  # those that mention the bot come with their content always
            elif not any(map(message.get, _OTHER_CONTENT)):
                self.empty += 1
        answers = [message for message in written if await self._counts(message, staff)]
        answer = "\n\n".join(dict.fromkeys(filter(None, map(self._text, answers))))
        title = _shortened(well_formed(thread["name"]))
        opening = [message for message in written[:1] if _opens(message, thread) and message not in answers]
        question = "\n".join(filter(None, (title, *(_shortened(self._text(message)) for message in opening))))
        if not answer:
            return "no answer that the staff has marked" if not answers else "no text in its answer"
        if len(question.split()) < _FEWEST_WORDS:
            return "fewer than three words in its question"
        return _Post(thread["id"], channel["id"], channel["name"], title, question, answer, self._address(thread["id"]))

    async def _counts(self, message: Json, staff: frozenset[str]) -> bool:
        """Return whether a message is an answer: marked by the staff, or written by it if there is no mark to look for."""
        if not self.source.accepted:
            return not staff.isdisjoint(await self.server.roles_of(message["author"]["id"]))
        for reaction in message.get("reactions") or ():
            if not _is_emoji(reaction["emoji"], self.source.accepted):
                continue
            async for person in self.server.reacted(message, _api_name(reaction["emoji"])):
                if not staff.isdisjoint(await self.server.roles_of(person)):
                    return True
        return False

    def _text(self, message: Json) -> str:
        """Return the text of a message, without people in it."""
        text = without_people(well_formed(message["content"]))
        return without_codes(text, person=lambda _: None, role=self._role, channel=self._channel).strip()

    def _role(self, number: str) -> str | None:
        role = self.server.roles.get(number)
        return role["name"] if role else None

    def _channel(self, number: str) -> str | None:
        channel = self.server.channels.get(number)
        return channel["name"] if channel and self.server.is_seen_by_all(channel) else None

    def _address(self, thread: str) -> str:
        return f"https://discord.com/channels/{self.server.id}/{thread}"


def _starting(message: Json) -> Json:
    """Return the message that a thread was opened on in place of the one that stands for it, any other one as it is."""
    started: Json | None = message.get("referenced_message") if message["type"] == _STARTER else None
    return started or message


def _by_a_person(message: Json) -> bool:
    return message["type"] in _WRITTEN and not message["author"].get("bot") and not message.get("webhook_id")


def _opens(message: Json, thread: Json) -> bool:
    """Return whether the first message of a thread is that of its author, and not an answer to a deleted one."""
    return bool(message["id"] == thread["id"] or message["author"]["id"] == thread.get("owner_id"))


def _is_emoji(emoji: Json, wanted: str) -> bool:
    """Return whether a reaction is the emoji of the settings: a character, or `name:id`, also in the form `<:name:id>`."""
    number = re.fullmatch(r"<?a?:?\w+:(\d+)>?", wanted)
    if number:
        return bool(emoji["id"] == number[1])
    return not emoji["id"] and (emoji["name"] or "").replace(_VARIANT, "") == wanted.replace(_VARIANT, "")


def _api_name(emoji: Json) -> str:
    return f"{emoji['name']}:{emoji['id']}" if emoji["id"] else str(emoji["name"])


def _shortened(text: str) -> str:
    """Return a text as a part of a question: on one line, without mail addresses, phone numbers and what is too long."""
    line = " ".join(_ADDRESSES.sub("", text[:_LONGEST_TEXT]).split())
    return line if len(line) <= _LONGEST_QUESTION else f"{line[:_LONGEST_QUESTION].rsplit(' ', 1)[0]} …"
