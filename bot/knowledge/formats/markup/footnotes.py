"""Footnotes of Markdown: `[^1]: text` is taken out of the source, to be read below the block that refers to it as `[^1]`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bot.knowledge.formats.outline import fences

_DEFINITION = re.compile(r" {0,3}\[\^(?P<name>[^\]\s]+)\]:[ \t]*(?P<text>.*)")
_REFERENCE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|[ \t]*\[\^(?P<name>[^\]\s]+)\]", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Note:
    """The text of a footnote, and its first and last line, from 1."""

    text: str
    lines: tuple[int, int]


@dataclass(slots=True)
class Footnotes:
    """The notes of a text by their names. Each is read once, below its first reference."""

    notes: Mapping[str, Note] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def without_references(self, text: str) -> str:
        """Return the text without references to notes. A mark without a note stays."""
        return _REFERENCE.sub(lambda mark: "" if mark["name"] in self.notes else mark[0], text) if self.notes else text

    def referred_to(self, text: str) -> Iterator[Note]:
        """Yield the notes that a text refers to and that haven't been read yet."""
        for mark in _REFERENCE.finditer(text) if self.notes else ():
            if mark["name"] in self.notes and mark["name"] not in self._read:
                self._read.add(mark["name"])
                yield self.notes[mark["name"]]


def footnotes_apart(source: str) -> tuple[str, Footnotes]:
    """Return the source with as many lines, without the notes that something in it refers to, and those notes."""
    if "[^" not in source:
        return source, Footnotes()
    lines = source.split("\n")
    found = dict(_definitions(lines))
    rest = list(lines)
    for note in found.values():
        rest[note.lines[0] - 1 : note.lines[1]] = [""] * (note.lines[1] - note.lines[0] + 1)
    referred = {
        mark["name"] for mark in _REFERENCE.finditer("\n".join([*rest, *(note.text for note in found.values())]))
    }
    notes = {name: note for name, note in found.items() if name in referred}
    for note in notes.values():
        lines[note.lines[0] - 1 : note.lines[1]] = [""] * (note.lines[1] - note.lines[0] + 1)
    return "\n".join(lines), Footnotes(notes)


def _definitions(lines: list[str]) -> Iterator[tuple[str, Note]]:
    in_code = fences(lines)
    number = 0
    while number < len(lines):
        found = None if in_code[number] else _DEFINITION.fullmatch(lines[number])
        end = number + 1
        if found:
            while end < len(lines) and _goes_on(lines, end):
                end += 1
            text = "\n".join([found["text"], *(line.removeprefix("    ") for line in lines[number + 1 : end])]).strip()
            last = end
            while not lines[last - 1].strip():
                last -= 1
            yield found["name"], Note(text, (number + 1, last))
        number = end


def _goes_on(lines: list[str], number: int) -> bool:
    """Return whether a line belongs to the note above it: it follows without an empty line, or is indented."""
    line = lines[number]
    if line.startswith("    ") and line.strip():
        return True
    if not line.strip():
        return number + 1 < len(lines) and lines[number + 1].startswith("    ") and bool(lines[number + 1].strip())
    return (
        bool(lines[number - 1].strip())
        and not _DEFINITION.fullmatch(line)
        and not re.match(r"#|>|[-*+] |```|~~~|\|", line)
    )
