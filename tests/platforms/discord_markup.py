"""What Discord's client makes of the content of a message: the characters that it shows, by the rules of its own Markdown."""

import re

# The first that matches at a place wins, as in the client.
_WHOLE_LINE = re.compile(r"(?:^|(?<=\n))(?:(?:#{1,3}|-#|>>>|>) +|[ \t]*(?:[-*]|\d+\.) +)(?=\S)")
_CODE_BLOCK = re.compile(r"```(?:[\w+#.-]*\n)?(.*?)\n?```", re.DOTALL)
_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
_AUTOLINK = re.compile(r"<(https?://[^\s<>]+)>")
_ADDRESS = re.compile(r"https?://[^\s<]+[^<.,:;\"')\]\s]")
_MENTION = re.compile(r"@everyone|@here|<(?:@[!&]?|#)\d+>|<a?:\w+:\d+>|<t:\d+(?::\w)?>|</[\w ]+:\d+>")
# A backslash before the bracket that ends the words doesn't keep the client from finding a link.
_LINK = re.compile(
    r"\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]\(\s*<?(?:\([^)]*\)|[^\s\\]|\\.)*?>?(?:\s+['\"].*?['\"])?\s*\)",
    re.DOTALL,
)
_CODE = re.compile(r"(`+)(?!`)(.*?[^`])\1(?!`)", re.DOTALL)
_MARKS = [
    re.compile(rf"{mark}(?=\S)((?:\\.|[^\\])+?){mark}", re.DOTALL) for mark in (r"\*\*", r"__", r"~~", r"\|\|", r"\*")
]
_MARKS.append(re.compile(r"(?<!\w)_((?:\\.|[^\\_])+?)_(?!\w)", re.DOTALL))
MENTIONED = "\N{BALLOT BOX WITH X}"  # in the place of what would be a mention
MASKED = "\N{CROSS MARK}"  # before the words of a link whose address isn't seen


def shown(content: str) -> str:
    """The characters that people see, and copy."""
    said: list[str] = []
    place = 0
    while place < len(content):
        text, place = _next(content, place)
        said.append(text)
    return "".join(said)


def _next(content: str, place: int) -> tuple[str, int]:
    """What is shown for the markup, or the character, at a place, and the place behind it."""
    if found := _WHOLE_LINE.match(content, place):
        return "", found.end()
    if found := _CODE_BLOCK.match(content, place):
        return found[1], found.end()
    if found := _ESCAPE.match(content, place) or _AUTOLINK.match(content, place):
        return found[1], found.end()
    if found := _MENTION.match(content, place):
        return MENTIONED, found.end()
    if found := _ADDRESS.match(content, place):
        return found[0], found.end()
    if found := _CODE.match(content, place):
        return re.sub(r"^ (?=`)|(?<=`) $", "", found[2]), found.end()
    if found := _LINK.match(content, place):
        return f"{MASKED}{shown(found[1])}", found.end()
    for pattern in _MARKS:
        if found := pattern.match(content, place):
            return shown(found[1]), found.end()
    return content[place], place + 1
