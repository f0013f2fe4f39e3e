"""Markdown of documentation generators and of Obsidian -> plain Markdown: admonitions, tabs, includes, components, wiki links.

    !!! note "Title"           MkDocs; what is below it, indented, belongs to it
    === "Title"                MkDocs, a tab
    :::note Title ... :::      Docusaurus, VitePress, Starlight
    ```{note} Title ... ```    MyST, also with colons
    > [!NOTE]                  GitHub, Obsidian
    <TabItem label="Title">    MDX, alone on its line
    [[Page|words]] ==words==   Obsidian
    {% slack_channel "help" %}    Liquid, which says what stands in quotes
    --8<--  {{< ... >}}  {: ... }  {/* ... */}  %% ... %%  import ... from "..."    say nothing to a reader

Every line stays in its place, so that the numbers of lines stay those of the file. Without this, CommonMark takes the indented
text of an admonition for code.
"""

import re
from collections.abc import Iterator

from bot.knowledge.formats.outline import fence_after, fences

_INDENTED = re.compile(
    r'(?P<indent>[ \t]*)(?:(?:!!!|\?\?\?\+?)[ \t]+(?P<kind>[\w-]+)(?:[ \t]+[\w-]+)*(?:[ \t]+"(?P<title>.*)")?'
    r'|===[+!]?[ \t]+"(?P<tab>.+)")[ \t]*'
)
_FENCED = re.compile(
    r"(?P<indent>[ \t]*):{3,}[ \t]*(?:\{?(?P<kind>[a-zA-Z][\w-]*)\}?(?:\[(?P<label>.*)\])?(?:[ \t]+(?P<title>.*?))?)?[ \t]*"
)
_MYST = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})\{(?P<kind>[a-z][\w-]*)\}(?:[ \t]+(?P<title>.*?))?[ \t]*")
_MYST_OPTION = re.compile(r"[ \t]*:[\w-]+:.*")
_QUOTED = re.compile(r"(?P<indent>[ \t]*>[ \t]*)\[!(?P<kind>[A-Za-z]+)\][+-]?(?:[ \t]+(?P<title>.*?))?[ \t]*")
_COMPONENT = re.compile(r"(?P<indent>[ \t]*)(?:</?[A-Z][\w.]*(?:\s[^<>]*)?>[ \t]*)+")
_OPENING = re.compile(r"(?P<indent>[ \t]*)<(?P<name>[A-Z][\w.]*)(?:\s[^<>]*)?(?<!/)>[ \t]*")
_CLOSING = re.compile(r"[ \t]*</(?P<name>[A-Z][\w.]*)>[ \t]*")
_UNFINISHED = re.compile(r"[ \t]*<[A-Z][\w.]*(?:\s[^<>]*)?")
_LABEL = re.compile(r"""\b(?:label|title)=(?:\{["'`]|["'])(?P<title>[^"'`]+)""")
_SAYS_NOTHING = re.compile(
    r"[ \t]*(?:-+8<-+.*|<<<[ \t].*|\{\{[<%].*[%>]\}\}|\{:.*\}|\{[ \t]*[.#][^{}]*\}|\[\[(?i:toc)\]\]|\[TOC\]"
    r"""|(?:im|ex)port\s.+\sfrom\s+["'].+["'];?|import\s+["'].+["'];?)[ \t]*"""
)
# What says nothing and may go on over several lines, with what ends it.
_REMARKS = (
    (re.compile(r"[ \t]*\{/\*"), re.compile(r"\*/\}[ \t]*$")),
    (re.compile(r"%%"), re.compile(r"%%[ \t]*$")),
    (re.compile(r"import\s+(?:\w+\s*,\s*)?\{[^}\"']*$"), re.compile(r"""\}\s*from\s+["'].+["'];?[ \t]*$""")),
    (
        re.compile(r"export\s+(?:(?:const|let|var)\s+\w+\s*=|(?:default\s+)?(?:async\s+)?function\b[^(]*\()"),
        re.compile(r"^[\])}]*;?[ \t]*$|;[ \t]*$"),
    ),
)
_LONGEST_REMARK = 200  # lines
# {% slack_channel "help" %} says "help"; an included file, a picture, or a condition says nothing.
_INLINE = re.compile(
    r"""(?P<code>(`+).+?\2)|\{%-?[ \t]*(?P<name>[\w-]*)(?:[ \t]+["'](?P<says>[^"'{}]*)["'])?[^{}]*%\}"""
    r"|(?P<embed>!?)\[\[(?P<page>[^\[\]|#\s][^\[\]|#]*)?(?P<part>#[^\[\]|]+)?(?:\|(?P<words>[^\[\]]*))?\]\]"
    r"|==(?P<marked>[^\s=](?:[^=]*[^\s=])?)==|(?P<remark>%%.+?%%)|(?<=\))(?P<link_style>\{[ \t]*[:.#][^{}]*\})"
    r"|(?<=\S)(?P<place>[ \t]++(?:\^[a-z0-9-]{4,}|\{[ \t]*:?[ \t]*#[\w-][^{}]*\})[ \t]*$)"
)
_FILES = frozenset(
    ("include", "include_relative", "image", "figure", "asset", "import", "extends", "render", "link", "load")
)
_STEP = 4  # columns that the text of an admonition is indented by
_DEEPEST = 20  # components within each other, whose text is brought to their indentation
# Of these kinds only the title is of interest.
_CONTAINERS = frozenset(
    """
    tabs tab tab-set tab-item code-group details dropdown admonition steps card cards grid grid-item-card div
    """.split()
)
_ADMONITIONS = frozenset(
    """
    note tip hint important warning caution danger attention error seealso admonition dropdown tab-set tab-item card grid
    grid-item-card topic sidebar
    """.split()
)


def without_directives(source: str) -> str:
    """Return the text without directives, with as many lines as before."""
    lines = source.split("\n")
    if "<" in source:
        _join_tags(lines)
        _dedent_components(lines)
    _blank_remarks(lines)
    _unfence(lines)
    _rewrite(lines)
    return "\n".join(lines)


def _unfence(lines: list[str]) -> None:
    """Replace the fences of MyST directives that hold text rather than code."""
    fence = ""
    closing: list[str] = []  # of the directives that are open
    for number, line in enumerate(lines):
        if closing and not fence and line.strip() == closing[-1]:
            closing.pop()
            lines[number] = ""
        elif not fence and (myst := _MYST.fullmatch(line)) and myst["kind"] in _ADMONITIONS:
            closing.append(myst["mark"])
            lines[number] = _titled(myst["indent"], myst["kind"], myst["title"])
            _blank_options(lines, number + 1)
        else:
            fence = fence_after(line, fence)


def _rewrite(lines: list[str]) -> None:
    """Rewrite the lines outside of code. Dedented lines are read again, with the directives in them."""
    for number, in_code in enumerate(fences(lines)):
        line = lines[number]
        if in_code:
            continue
        if (found := _INDENTED.fullmatch(line)) and _dedent(lines, number + 1, len(found["indent"])):
            lines[number] = f"{found['indent']}**{found['tab'] or found['title'] or _named(found['kind'])}**"
        else:
            lines[number] = _rewritten(line)


def _blank_remarks(lines: list[str]) -> None:
    """Empty constructs without content that go on over several lines. A construct that never ends is text."""
    in_code = fences(lines)
    number = 0
    while number < len(lines):
        end = None if in_code[number] else _end_of_remark(lines, number)
        if end is not None:
            lines[number : end + 1] = [""] * (end + 1 - number)
        number = number + 1 if end is None else end + 1


def _end_of_remark(lines: list[str], first: int) -> int | None:
    for begins, ends in _REMARKS:
        if found := begins.match(lines[first]):
            if ends.search(lines[first], found.end()):
                return first
            following = range(first + 1, min(len(lines), first + _LONGEST_REMARK))
            return next((number for number in following if ends.search(lines[number])), None)
    return None


def _join_tags(lines: list[str]) -> None:
    """Bring the tag of a component that goes on over several lines into its first."""
    for number, in_code in enumerate(fences(lines)):
        if in_code or not _UNFINISHED.fullmatch(lines[number]):
            continue
        end = number
        while end < len(lines) and end < number + _LONGEST_REMARK and lines[end].strip() and ">" not in lines[end]:
            end += 1
        if end < len(lines) and lines[end].rstrip().endswith(">"):
            joined = " ".join([lines[number].rstrip(), *(line.strip() for line in lines[number + 1 : end + 1])])
            lines[number : end + 1] = [joined, *([""] * (end - number))]


def _dedent_components(lines: list[str]) -> None:
    """Bring the text in components to their indentation: CommonMark would take it for code."""
    for first, end in _components(lines):
        depth = _indent(lines[first])
        least = min((_indent(line) for line in lines[first + 1 : end] if line.strip()), default=0)
        if least > depth:
            for number in range(first + 1, end):
                lines[number] = lines[number].expandtabs(_STEP)[:depth] + lines[number].expandtabs(_STEP)[least:]


def _components(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield (opening line, closing line) of components, the outer ones first."""
    found, opened = [], []
    for number, in_code in enumerate(fences(lines)):
        if in_code or "<" not in lines[number]:
            continue
        if opening := _OPENING.fullmatch(lines[number]):
            opened.append((opening["name"], number))
        elif (closing := _CLOSING.fullmatch(lines[number])) and opened and opened[-1][0] == closing["name"]:
            if len(opened) <= _DEEPEST:
                found.append((opened[-1][1], number))
            opened.pop()
    yield from sorted(found)


def _indent(line: str) -> int:
    line = line.expandtabs(_STEP)
    return len(line) - len(line.lstrip())


def _blank_options(lines: list[str], first: int) -> None:
    """Empty the options below the opening of a MyST directive."""
    for number in range(first, len(lines)):
        if not _MYST_OPTION.fullmatch(lines[number]):
            break
        lines[number] = ""


def _dedent(lines: list[str], first: int, indent: int) -> bool:
    """Bring the lines that belong to a directive to its indentation. Returns False if none do."""
    least = indent + _STEP
    end = first
    for number in range(first, len(lines)):
        text = lines[number].expandtabs(_STEP)
        if text.strip():
            if len(text) - len(text.lstrip()) < least:
                break
            end = number + 1
    for number in range(first, end):
        lines[number] = lines[number].expandtabs(_STEP)[:indent] + lines[number].expandtabs(_STEP)[least:]
    return end > first


def _rewritten(line: str) -> str:
    """Rewrite a line that stands by itself."""
    if _SAYS_NOTHING.fullmatch(line):
        return ""
    if found := _FENCED.fullmatch(line):
        return _titled(found["indent"], found["kind"] or "", found["label"] or found["title"])
    if found := _QUOTED.fullmatch(line):
        return f"{found['indent']}**{found['title'] or _named(found['kind'])}**"
    if found := _COMPONENT.fullmatch(line):
        label = _LABEL.search(line)
        return f"{found['indent']}**{label['title']}**" if label else ""
    return _INLINE.sub(_words, line)


def _words(found: re.Match[str]) -> str:
    """Return the words of a piece of a line."""
    if found["code"]:
        return found["code"]
    if found["marked"]:
        return f"**{found['marked']}**"
    if found["embed"]:  # another page, or a picture
        return found["words"] or ""
    if found["page"] or found["part"]:
        return found["words"] or found["page"] or found["part"].lstrip("#^")
    return "" if found["name"] in _FILES else found["says"] or ""


def _titled(indent: str, kind: str, title: str | None) -> str:
    """Return the line that stands for the opening of an admonition or a container."""
    shown = title or ("" if kind.lower() in _CONTAINERS else _named(kind))
    return f"{indent}**{shown}**" if shown else ""


def _named(kind: str) -> str:
    return kind.replace("-", " ").capitalize()
