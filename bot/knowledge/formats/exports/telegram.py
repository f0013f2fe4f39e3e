"""Chats that Telegram Desktop has exported as JSON: questions with the answers of staff, without their authors.

The operator names the accounts of the staff. A message of anybody else is a question if a member of the staff has replied to
it, and that reply is its answer. Where the operator also names a reaction, only replies count that a member of the staff has
marked with it, by any author. Replies to replies are left out, because they lack the context of the question. The questions of
a topic come into one file.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode, well_formed
from bot.knowledge.formats.exports.archives import Archives
from bot.knowledge.formats.exports.export import Converted, Export, Part, Rules

_NAME = re.compile(r"result(?: \(\d+\))?\.json")
# Telegram Desktop writes control characters in a way that JSON doesn't know.
_ODD_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\x([01][0-9A-Fa-f])")
_PRIVATE = ("personal_chat", "bot_chat", "saved_messages")
_PEOPLE = ("mention", "mention_name")
_OF_ASKERS = (*_PEOPLE, "phone", "email", "bank_card")
_BOT = re.compile(r"@\w+bot", re.IGNORECASE)
_FEWEST_WORDS = 3  # of a question: shorter messages are greetings and thanks
_ELSEWHERE = -1  # the number of a message in another chat
_GENERAL = 1  # the topic of messages that have no other


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    author: str
    text: str  # as that of a question
    answer: str  # the same text as that of an answer
    replies_to: int | None
    marks: tuple[tuple[str, str], ...]  # (emoji, account) of the reactions


@dataclass(slots=True)
class _Chat:
    """A chat: its messages by their numbers, and the titles of its topics by the numbers of the messages that began them."""

    name: str
    messages: dict[int, _Message] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)

    def topic(self, message: _Message) -> str:
        """Return the title of a message's topic, which its replies lead to; the name of the chat if it has none."""
        seen: set[int] = set()
        number: int | None = message.number
        while number is not None and number not in seen:
            if number in self.topics:
                return self.topics[number]
            seen.add(number)
            above = self.messages.get(number)
            number = above.replies_to if above else None
        return self.topics.get(_GENERAL, self.name)

    def asks(self, message: _Message) -> bool:
        """Return whether a message doesn't reply to another one. In a topic, all reply to the message that began it."""
        return message.replies_to is None or message.replies_to in self.topics


def read(archives: Archives, rules: Rules) -> Export:
    """Find the answered questions. Raises DocumentError."""
    names = [name for name in archives.names if _NAME.fullmatch(PurePosixPath(name).name)]
    if not names:
        raise DocumentError(
            "there is no result.json in it; export the chat in Telegram Desktop as machine-readable JSON"
        )
    export = Export()
    chats = [chat for name in names for chat in _chats(archives.read(name), export)]
    for chat in chats:
        pairs = list(_pairs(chat, rules, export))
        for topic in dict.fromkeys(topic for topic, _, _ in pairs):
            lines = [
                json.dumps({"question": question, "answer": answer}, ensure_ascii=False)
                for of_topic, question, answer in pairs
                if of_topic == topic
            ]
            folders = [chat.name] if topic != chat.name else []
            part = Part(export.free_path(folders, topic, ".jsonl"), "", sum(map(len, lines)))
            export.add(part, partial(_file, lines))
    if not export.parts:
        raise DocumentError(
            "no message in it is a question that the staff has answered; check the settings staff and accepted of the source"
        )
    return export


def _file(lines: Sequence[str]) -> Converted:
    return Converted(("\n".join(lines) + "\n").encode())


def _pairs(chat: _Chat, rules: Rules, export: Export) -> Iterator[tuple[str, str, str]]:
    """Yield (topic, question, answer) of each answered question, in their order."""
    staff = set(rules.staff)
    answers: dict[int, list[str]] = {}
    for message in chat.messages.values():
        asked = chat.messages.get(message.replies_to) if message.replies_to is not None else None
        if asked is None or not message.answer or not _is_answer(message, staff, rules.accepted):
            continue
        if asked.author in staff:
            continue
        if not chat.asks(asked):
            export.leave_out("not read (an answer to a reply)", f"{chat.name}, message {message.number}")
        elif len(asked.text.split()) < _FEWEST_WORDS:
            export.leave_out("not read (an answer to fewer than three words)", f"{chat.name}, message {message.number}")
        else:
            answers.setdefault(asked.number, []).append(message.answer)
    for number, texts in sorted(answers.items()):
        asked = chat.messages[number]
        yield chat.topic(asked), asked.text, "\n".join(dict.fromkeys(texts))


def _is_answer(message: _Message, staff: set[str], accepted: str) -> bool:
    if accepted:
        return any(emoji == accepted and account in staff for emoji, account in message.marks)
    return message.author in staff


# --- reading the file -------------------------------------------------------------------------------------------------


def _chats(content: bytes, export: Export) -> Iterator[_Chat]:
    """Yield the chats of a file, which holds one or all of them, without those of two people."""
    found = _parsed(content)
    listed = [
        chat
        for key in ("chats", "left_chats")
        if isinstance(chats := found.get(key), Mapping)
        for chat in chats.get("list") or ()
    ]
    for chat in listed or [found]:
        if not isinstance(chat, Mapping) or not isinstance(chat.get("messages"), list):
            continue
        name = " ".join(well_formed(str(chat.get("name") or "Chat")).split())
        if chat.get("type") in _PRIVATE:
            export.leave_out("not read (a private chat)", name if not listed else "one of them")
            continue
        yield _chat(name, chat["messages"])


def _parsed(content: bytes) -> Mapping[str, Any]:
    text, _ = decode(content)
    try:
        data = json.loads(text, strict=False)
    except ValueError:
        try:
            data = json.loads(_ODD_ESCAPE.sub(r"\1\\u00\2", text), strict=False)
        except ValueError as error:
            raise DocumentError(f"its result.json is not complete ({error}); export the chat again") from error
    if not isinstance(data, Mapping):
        raise DocumentError("its result.json is none of Telegram Desktop; export the chat as machine-readable JSON")
    return data


def _chat(name: str, messages: Sequence[Any]) -> _Chat:
    chat = _Chat(name)
    for message in messages:
        number = message.get("id") if isinstance(message, Mapping) else None
        if not isinstance(number, int):
            continue
        if message.get("type") == "service":
            title = message.get("title") if message.get("action") == "topic_created" else None
            if isinstance(title, str) and title.strip():
                chat.topics[number] = " ".join(well_formed(title).split())
        elif message.get("type") == "message":
            chat.messages[number] = _message(number, message)
    return chat


def _message(number: int, message: Mapping[str, Any]) -> _Message:
    replied = message.get("reply_to_message_id")
    if "reply_to_peer_id" in message:
        replied = _ELSEWHERE
    return _Message(
        number,
        str(message.get("from_id") or ""),
        _text(message.get("text"), _OF_ASKERS),
        _text(message.get("text"), _PEOPLE),
        replied if isinstance(replied, int) else None,
        tuple(_marks(message.get("reactions"))),
    )


def _marks(reactions: Any) -> Iterator[tuple[str, str]]:
    for reaction in reactions if isinstance(reactions, list) else ():
        recent = reaction.get("recent") if isinstance(reaction, Mapping) else None
        for mark in recent if isinstance(recent, list) else ():
            if isinstance(mark, Mapping):
                yield str(reaction.get("emoji") or ""), str(mark.get("from_id") or "")


def _text(text: Any, left_out: Sequence[str]) -> str:
    """Return the text of a message, which is a string or a list of strings and of objects, without people in it."""
    parts = text if isinstance(text, list) else [text]
    joined = well_formed("".join(_part(part, left_out) for part in parts))
    lines = [re.sub(r"^[\s,:]+|(?<=\s)\s+", "", line).rstrip() for line in joined.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _part(part: Any, left_out: Sequence[str]) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
        return ""
    words, kind, address = str(part["text"]), part.get("type"), part.get("href")
    if kind in left_out and not _BOT.fullmatch(words):
        return ""
    if kind == "text_link" and isinstance(address, str) and address != words:
        return f"{words} ({address})"
    return words
