"""An answer as Discord shows it: its Markdown kept as far as Discord knows it, and nothing of a document able to act.

Discord's Markdown is its own: three backticks open code anywhere and know no longer fences, a tilde fence is none, tables are
plain text. So code is found by CommonMark's rules, in which documents are written, and written anew by Discord's; all else
is kept from mentioning anybody, from hiding where a link leads, and from looking like the bot's own small print.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.adapters.layout import LATE, safe, source_line, split_markdown, utf16_length
from bot.core.messages import Answer, Citation, Outcome

LONGEST_MESSAGE = 2000  # UTF-16 units
_LONGEST_QUOTED_QUESTION = 200  # characters
_LONGEST_LABEL = 60  # characters of a language behind a fence, which nobody needs in full
REPEATED = "-# ↻ sent again: it is not known whether this arrived the first time"
_SMALL_PRINT = "-# "
# Which outcome it is must be seen at a glance.
_MARKS = {Outcome.DECLINED: "🔍 ", Outcome.FAILED: "⚠️ ", Outcome.STOPPED: "⏹️ "}

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CODE_SPAN = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[((?:[^\[\]\\]|\\.)*+)\]\(\s*<?([^\s<>()]*+(?:\([^\s<>()]*+\)[^\s<>()]*+)*+)>?[^()\n]*+\)")
_ADDRESS = re.compile(r"<?(https?://[^\s<>]+)>?", re.IGNORECASE)
_MENTION = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
# With the backslashes before them, which might undo the one that is put there.
_TICK = re.compile(r"\\*`")
_ANGLE = re.compile(r"\\*<")
# What begins a line and would look like the bot's own small print, or take in all that follows.
_GREEDY_LINE = re.compile(r"^([ \t]*)(-#|>>>)", re.MULTILINE)
_SPECIAL = re.compile(r"([\\*_~`|<>\[\]()#@:])")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages of an answer, each at most 2000 units long; the last one takes the buttons. `file` is all of an answer
    that is too long for messages, as the file that goes with the first one."""

    parts: tuple[str, ...]
    file: str | None = None


def render(answer: Answer, *, question: str | None = None, most_parts: int = 5) -> Rendered:
    """The messages of an answer. `question` is quoted above it, where people would not see it otherwise."""
    head = f"> {_one_line(question, _LONGEST_QUOTED_QUESTION)}\n" if question else ""
    head += f"{_SMALL_PRINT}{LATE}\n" if answer.late else ""
    sources = _sources(answer.citations)
    text = head + body(answer)
    parts = split_markdown(text, LONGEST_MESSAGE - utf16_length(REPEATED) - 1)
    if len(parts) > most_parts:
        note = "-# This is the beginning of a long answer; all of it is in the file."
        room = LONGEST_MESSAGE - utf16_length(f"{REPEATED}\n{note}\n{sources}") - 2
        [first, *_] = split_markdown(text, max(room, LONGEST_MESSAGE // 2))
        return Rendered((f"{first}\n{note}\n{sources}".rstrip(),), safe(answer.text))
    if sources and parts and utf16_length(f"{parts[-1]}\n{sources}\n{REPEATED}") <= LONGEST_MESSAGE:
        parts[-1] = f"{parts[-1]}\n{sources}"
    elif sources:
        parts.append(sources)
    return Rendered(tuple(parts or ["…"]))


def body(answer: Answer) -> str:
    """The text of an answer without its sources. What the documents say is Markdown, what the bot says may name anything."""
    if answer.outcome is Outcome.ANSWERED:
        return harmless(answer.text)
    return _MARKS.get(answer.outcome, "") + escaped(answer.text)


def repeated(part: str) -> str:
    """A part that may have arrived before, and says so."""
    return f"{part}\n{REPEATED}"


def passages(citations: Sequence[Citation]) -> str:
    """The exact words that an answer stands on, each quoted with its source below."""
    quotes = []
    for citation in citations:
        quoted = "\n".join(f"> {line}" for line in harmless(citation.quote).split("\n"))
        quotes.append(f"{quoted}\n{_sources([citation])}")
    return "\n\n".join(quotes)


def escaped(text: str) -> str:
    """Text of which nothing is taken for Markdown or a mention."""
    return _MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\1", safe(text)))


def _one_line(text: str, limit: int) -> str:
    line = " ".join(safe(text).split())
    return escaped(line if len(line) <= limit else f"{line[:limit]}…")


def _sources(citations: Sequence[Citation]) -> str:
    lines = []
    for citation in citations:
        link = f" · {address}" if (address := _plain_address(citation.url)) else ""
        lines.append(f"{_SMALL_PRINT}{_one_line(source_line(citation), 300)}{link}")
    return "\n".join(lines)


def _plain_address(url: str | None) -> str:
    """An address as it is, in brackets that keep Discord from showing a preview; empty for what is none."""
    match = _ADDRESS.fullmatch(safe(url or ""))
    return f"<{match[1]}>" if match and len(match[1]) <= 300 else ""


# --- Markdown of documents --------------------------------------------------------------------------------------------


def harmless(text: str) -> str:
    """Markdown of a document as Markdown of Discord that shows all of it and does nothing else."""
    return "\n".join(_pieces(safe(text).split("\n")))


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """Code blocks, tables and the text between them, each made harmless."""
    prose: list[str] = []
    place = 0
    while place < len(lines):
        fence = _FENCE.match(lines[place])
        end = _fence_end(lines, place, fence[1]) if fence else _table_end(lines, place)
        if end == place:
            prose.append(lines[place])
            place += 1
            continue
        if prose:
            yield _prose("\n".join(prose))
            prose = []
        if fence:
            code = lines[place + 1 : end - 1] if _closes(lines[end - 1], fence[1]) else lines[place + 1 : end]
            yield _code(code, fence[2].strip())
        else:
            yield _code(_aligned(lines[place:end]))
        place = end
    if prose:
        yield _prose("\n".join(prose))


def _fence_end(lines: Sequence[str], start: int, mark: str) -> int:
    for place in range(start + 1, len(lines)):
        if _closes(lines[place], mark):
            return place + 1
    return len(lines)


def _closes(line: str, mark: str) -> bool:
    fence = _FENCE.match(line)
    return fence is not None and fence[1].startswith(mark) and not fence[2].strip()


def _table_end(lines: Sequence[str], start: int) -> int:
    """Past the last line of the table that begins here, or `start` where none does."""
    if "|" not in lines[start] or start + 1 >= len(lines) or "|" not in lines[start + 1]:
        return start
    if not _TABLE_RULE.fullmatch(lines[start + 1]):
        return start
    end = start + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _aligned(rows: Sequence[str]) -> list[str]:
    """A table with columns of even width, as it can be read in code."""
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    del cells[1]
    widths = [max(len(row[n]) for row in cells if n < len(row)) for n in range(max(map(len, cells)))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in cells]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _code(lines: Sequence[str], language: str = "") -> str:
    """A code block. Backticks within it that Discord would take for its end are kept apart by what can't be seen."""
    inside = "\n".join(lines).replace("``", "`\u200b`")
    if inside.endswith("`"):
        inside += "\u200b"
    label = language if re.fullmatch(r"[\w+#.-]+", language) and len(language) <= _LONGEST_LABEL else ""
    return f"```{label}\n{inside}\n```"


def _prose(text: str) -> str:
    """Text outside of code blocks: code spans kept as such, the rest made harmless."""
    said: list[str] = []
    end = 0
    for span in _CODE_SPAN.finditer(text):
        said += (_harmless_prose(text[end : span.start()]), _code_span(span[2]))
        end = span.end()
    said.append(_harmless_prose(text[end:]))
    return _GREEDY_LINE.sub(r"\1\\\2", "".join(said))


def _code_span(code: str) -> str:
    code = code.replace("\n", " ")
    if "`" not in code:
        return f"`{code}`"
    apart = code.replace("``", "`\u200b`")
    return f"`` {apart} ``"


def _harmless_prose(text: str) -> str:
    text = _TICK.sub(r"\\`", text)
    said: list[str] = []
    end = 0
    for link in _LINK.finditer(text):
        said += (_unlinked(text[end : link.start()]), _unlinked(link[1]))
        if address := _plain_address(link[2]):
            said.append(f" ({address})" if link[1].strip() else address)
        end = link.end()
    said.append(_unlinked(text[end:]))
    return "".join(said)


def _unlinked(text: str) -> str:
    """Text with its addresses bare and without previews, and nothing else that Discord would act on."""
    said: list[str] = []
    end = 0
    for address in _ADDRESS.finditer(text):
        said += (_inert(text[end : address.start()]), _with_brackets(address[1]))
        end = address.end()
    said.append(_inert(text[end:]))
    return "".join(said)


def _with_brackets(address: str) -> str:
    """`<address>`, with what ends a sentence rather than an address left outside."""
    bare = address.rstrip(".,;:!?\"'*_~|")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1]
    return f"<{bare}>{_inert(address[len(bare) :])}"


def _inert(text: str) -> str:
    return _MENTION.sub("@\u200b", _ANGLE.sub(r"\\<", text.replace("](", "]\\(")))
