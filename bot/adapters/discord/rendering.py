"""Renders answers in Discord's Markdown, and makes the text of documents harmless.

Discord's Markdown differs from CommonMark, in which documents are written: three backticks open code anywhere, longer fences
and tilde fences don't exist, and tables are plain text. So code and tables are found by CommonMark's rules and written anew by
Discord's, and the lines of a paragraph, which Discord would show as lines, become one. All other text is changed so that it
mentions nobody, hides no address behind a link, and doesn't look like the bot's own small print.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from markdown_it import MarkdownIt

from bot.adapters.layout import aligned, source_line, split_markdown, utf16_length, without_marks
from bot.adapters.texts import LATE
from bot.core.markup import Markup, Piece
from bot.core.messages import Answer, Citation, Outcome
from bot.core.text import safe

LONGEST_MESSAGE = 2000  # UTF-16 units
_MOST_PARTS = 5  # messages of one answer; a longer one comes as a file
_LONGEST_QUOTED_QUESTION = 200  # characters
_LONGEST_LABEL = 60  # characters of the language behind a fence
REPEATED = "-# ↻ sent again: it is not known whether this arrived the first time"
_ROOM = LONGEST_MESSAGE - utf16_length(REPEATED) - 1  # for a part, which may get that line later
_SMALL_PRINT = "-# "
_IN_FILE = "-# This is the beginning of a long answer; all of it is in the file."
_ELSEWHERE = (
    "-# This is the beginning of a long answer. I may not attach files here; all of it is in your direct messages."
)
# The longest of the three, so that there is room for each.
_NO_FILE = (
    "-# This is the beginning of a long answer. I may not attach files here; ask me in a direct message for all of it."
)
# They show the outcome at a glance.
_MARKS = {Outcome.DECLINED: "🔍 ", Outcome.FAILED: "⚠️ ", Outcome.STOPPED: "⏹️ "}

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CODE_SPAN = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[((?:[^\[\]\\]|\\.)*+)\]\(\s*<?([^\s<>()]*+(?:\([^\s<>()]*+\)[^\s<>()]*+)*+)>?[^()\n]*+\)")
_ADDRESS = re.compile(r"<?(https?://[^\s<>]+)>?", re.IGNORECASE)
_MENTION = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
# Each with the backslashes before it, which might undo an added one.
_TICK = re.compile(r"\\*`")
# A bracket opens a link also where the end of its words stands in code.
_OPENING = re.compile(r"\\*([<\[])")
# At the beginning of a line: small print like the bot's own, and a quote that takes in all that follows.
_GREEDY_LINE = re.compile(r"^([ \t]*)(-#|>>>)", re.MULTILINE)
_SPECIAL = re.compile(r"([\\*_~`|<>\[\]()#@:])")
# Characters that make a line an item of a list.
_ITEM = re.compile(r"^([ \t]*\d*)(?=[-.]\s)", re.MULTILINE)
_ITEM_ESCAPED = r"\1\\"
# The parser of blocks, for the lines of paragraphs.
_BLOCKS = MarkdownIt("commonmark", {"maxNesting": 60}).disable("inline")
_MEANT_BREAK = re.compile(r"(?: {2,}|\\)$")
_BAR = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages of an answer, each at most 2000 units long.

    `file` is the whole text of an answer that is too long for messages; it is attached to the first one, or `without_file`
    replaces that one if files are refused, `file_elsewhere` if it could be sent to another place. The buttons stand below the
    last one.
    """

    parts: tuple[str, ...]
    file: str | None = None
    without_file: str | None = None
    file_elsewhere: str | None = None


def render(answer: Answer, *, question: str | None = None) -> Rendered:
    """Render an answer with its sources as messages. `question`, if given, is quoted above it."""
    head = f"> {_one_line(question, _LONGEST_QUOTED_QUESTION)}\n" if question else ""
    head += f"{_SMALL_PRINT}{LATE}\n" if answer.late else ""
    sources = _sources(answer.citations)
    text = head + body(answer)
    parts = split_markdown(text, _ROOM)
    if len(parts) > _MOST_PARTS:
        return _beginning(text, safe(answer.text), sources)
    if sources and parts and utf16_length(f"{parts[-1]}\n{sources}") <= _ROOM:
        parts[-1] = f"{parts[-1]}\n{sources}"
    else:
        parts += split_markdown(sources, _ROOM)
    return Rendered(tuple(parts or ["…"]))


def _beginning(text: str, whole: str, sources: str) -> Rendered:
    """Return the beginning of a long answer, with its sources below it or in more messages. The `whole` text is a file."""
    below = sources if utf16_length(sources) <= _ROOM // 2 else ""
    [first, *_] = split_markdown(text, _ROOM - utf16_length(f"{_NO_FILE}\n{below}") - 1)
    with_file, without, elsewhere = (f"{first}\n{note}\n{below}".rstrip() for note in (_IN_FILE, _NO_FILE, _ELSEWHERE))
    further = [] if below else split_markdown(sources, _ROOM)
    return Rendered((with_file, *further), whole, without, elsewhere)


def more_of(answer: Answer) -> Rendered:
    """Render the rest of an answer's section without sources, which stand below the answer."""
    return render(replace(answer, citations=(), late=False).saying(answer.more_pieces))


def body(answer: Answer) -> str:
    """Return the text of an answer without its sources; text of the bot itself is escaped."""
    if answer.from_documents:
        return "\n\n".join(map(_shown, answer.pieces))
    return _MARKS.get(answer.outcome, "") + escaped(answer.text)


def _shown(piece: Piece) -> str:
    match piece.markup:
        case Markup.MARKDOWN:
            return harmless(piece.text)
        case Markup.CODE:
            return _code(safe(piece.text).split("\n"))
    return _ITEM.sub(_ITEM_ESCAPED, "".join(_run(safe(text), bold, code) for text, bold, code in piece.runs))


def _run(text: str, bold: bool, code: bool) -> str:
    if code:
        return _code_span(text)
    if bold:  # the client takes the beginning of bold text for that of a line
        return f"**{_ITEM.sub(_ITEM_ESCAPED, _literally(text))}**"
    return _with_addresses(text, _literally)


def heading(question: str, channel: str, missing: str) -> str:
    """Render the lines above an answer that can't be sent to the place of its question. `missing`: permissions, if known."""
    lacks = f" Its operators can change that: I lack {missing}." if missing else ""
    return (
        f"> {_one_line(question, _LONGEST_QUOTED_QUESTION)}\n"
        f"{_SMALL_PRINT}Asked in <#{channel}>, where I can't show all of this.{lacks}"
    )


def refusal(reason: str, *, sent_directly: bool) -> str:
    """Render the sentence in the place of an answer that Discord refuses."""
    where = (
        "It is in your direct messages." if sent_directly else "Please ask again in other words, or tell the operator."
    )
    return f"⚠️ Discord doesn't take my answer here: {escaped(reason)}. {where}"


def marked_as_repeated(part: str) -> str:
    """Add a note to a part that it may have arrived before."""
    return f"{part}\n{REPEATED}"


def passages_of(answer: Answer) -> str:
    """Render the quotes behind an answer, each with its source below."""
    quotes = []
    for citation in answer.citations:
        quoted = "\n".join(f"> {line}" for line in _shown(Piece(citation.quote, citation.markup)).split("\n"))
        quotes.append(f"{quoted}\n{_sources([citation])}")
    return "\n\n".join(quotes)


def escaped(text: str) -> str:
    """Escape text so that Discord finds no Markdown and no mention in it."""
    return _MENTION.sub("@\u200b", _literally(safe(text)))


def _literally(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


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
    """Return a web address in brackets, which keep Discord from showing a preview; empty where `url` is no web address."""
    match = _ADDRESS.fullmatch(safe(url or ""))
    return f"<{match[1]}>" if match and len(match[1]) <= 300 else ""


# --- Markdown of documents --------------------------------------------------------------------------------------------


def harmless(text: str) -> str:
    """Turn the Markdown of a document into Discord's, without mentions, hidden addresses and previews."""
    return "\n".join(_pieces(safe(text).split("\n")))


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """Yield code blocks, tables and the text between them, each made harmless."""
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
            yield _table(lines[place:end])
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
    """Return the index behind the last line of the table that begins at `start`, or `start` if none begins."""
    if "|" not in lines[start] or start + 1 >= len(lines) or "|" not in lines[start + 1]:
        return start
    if not _TABLE_RULE.fullmatch(lines[start + 1]):
        return start
    end = start + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _table(lines: Sequence[str]) -> str:
    """Return a narrow table in a code block, and a wide one row by row, each cell in a line behind the name of its column."""
    header, _, *body = ([cell.strip().replace("\\|", "|") for cell in _cells(line)] for line in lines)
    names = list(map(without_marks, header))
    if (shown := aligned([names, *(list(map(without_marks, row)) for row in body)], rule="-")) is not None:
        return _code(shown)
    return "\n\n".join("\n".join(_named(names, row)) for row in body) or " ".join(map(_prose, header))


def _named(names: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    """Yield a line `column: value` for each cell that is not empty."""
    for name, cell in zip_longest(names, cells, fillvalue=""):
        if cell:
            before = f"{_ITEM.sub(_ITEM_ESCAPED, _literally(name))}: " if name else ""
            yield f"{before}{_prose(cell)}"


def _cells(row: str) -> list[str]:
    """Return the cells of a row between its bars."""
    first, *cells = _BAR.split(row.strip())
    cells = [first, *cells] if first.strip() or not cells else cells
    return cells[:-1] if len(cells) > 1 and not cells[-1].strip() else cells


def _code(lines: Sequence[str], language: str = "") -> str:
    """Return a code block. Backticks within it are kept apart by an invisible space, so that they don't end it."""
    inside = "\n".join(lines).replace("``", "`\u200b`")
    if inside.endswith("`"):
        inside += "\u200b"
    label = language if re.fullmatch(r"[\w+#.-]+", language) and len(language) <= _LONGEST_LABEL else ""
    return f"```{label}\n{inside}\n```"


def _prose(text: str) -> str:
    """Make text outside of code blocks harmless; code spans are kept."""
    text = _in_whole_lines(text)
    said: list[str] = []
    end = 0
    for span in _CODE_SPAN.finditer(text):
        said += (_harmless_prose(text[end : span.start()]), _code_span(span[2]))
        end = span.end()
    said.append(_harmless_prose(text[end:]))
    return _GREEDY_LINE.sub(r"\1\\\2", "".join(said))


def _in_whole_lines(text: str) -> str:
    """Put each paragraph into one line, but for breaks that are meant and for rows of a table without its header."""
    lines = text.split("\n")
    for token in reversed(_BLOCKS.parse(text)):
        beginning, *others = token.content.split("\n") if token.type == "inline" and token.map else [""]
        if others and token.map and lines[token.map[0]].endswith(beginning):
            whole = lines[token.map[0]]
            for line in others:
                if _MEANT_BREAK.search(whole) or line.startswith("|"):
                    whole = f"{_MEANT_BREAK.sub('', whole)}\n{line}"
                else:
                    whole = f"{whole.rstrip()} {line.lstrip()}"
            lines[slice(*token.map)] = [whole]
    return "\n".join(lines)


def _code_span(code: str) -> str:
    code = code.replace("\n", " ")
    if "`" not in code:
        return f"`{code}`"
    apart = re.sub("`(?=`)", "`\u200b", code)
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
    """Put bare addresses in brackets, which prevent previews, and make the rest inert."""
    return _with_addresses(text, _inert)


def _with_addresses(text: str, otherwise: Callable[[str], str]) -> str:
    """Put bare addresses in brackets, and replace the text between them by `otherwise` of it."""
    said: list[str] = []
    end = 0
    for address in _ADDRESS.finditer(text):
        said += (otherwise(text[end : address.start()]), _with_brackets(address[1], otherwise))
        end = address.end()
    said.append(otherwise(text[end:]))
    return "".join(said)


def _with_brackets(address: str, otherwise: Callable[[str], str]) -> str:
    """Return `<address>`. Punctuation that ends a sentence rather than the address stays outside."""
    bare = address.rstrip(".,;:!?\"'*_~|")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1]
    return f"<{bare}>{otherwise(address[len(bare) :])}"


def _inert(text: str) -> str:
    return _MENTION.sub("@\u200b", _OPENING.sub(r"\\\1", text))
