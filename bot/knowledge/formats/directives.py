"""Markdown of documentation generators -> plain Markdown: admonitions, tabs, includes and components, which CommonMark lacks.

    !!! note "Title"           MkDocs; what is below it, indented, belongs to it
    === "Title"                MkDocs, a tab
    :::note Title ... :::      Docusaurus, VitePress, Starlight
    > [!NOTE]                  GitHub
    <TabItem label="Title">    MDX, alone on its line
    {% slack_channel "help" %}    Liquid, which says what stands in quotes
    --8<--  {{< ... >}}  {: ... }  import ... from "..."    say nothing to a reader

Every line stays in its place, so that the numbers of lines stay those of the file. Without this, CommonMark takes the indented
text of an admonition for code.
"""

import re

_INDENTED = re.compile(
    r'(?P<indent>[ \t]*)(?:(?:!!!|\?\?\?\+?)[ \t]+(?P<kind>[\w-]+)(?:[ \t]+[\w-]+)*(?:[ \t]+"(?P<title>.*)")?'
    r'|===[+!]?[ \t]+"(?P<tab>.+)")[ \t]*'
)
_FENCED = re.compile(
    r"(?P<indent>[ \t]*):{3,}[ \t]*(?:(?P<kind>[a-zA-Z][\w-]*)(?:\[(?P<label>.*)\])?(?:[ \t]+(?P<title>.*?))?)?[ \t]*"
)
_QUOTED = re.compile(r"(?P<indent>[ \t]*>[ \t]*)\[!(?P<kind>[A-Za-z]+)\][+-]?(?:[ \t]+(?P<title>.*?))?[ \t]*")
_COMPONENT = re.compile(r"(?P<indent>[ \t]*)(?:</?[A-Z][\w.]*(?:\s[^<>]*)?>[ \t]*)+")
_LABEL = re.compile(r"""\b(?:label|title)=(?:\{["'`]|["'])(?P<title>[^"'`]+)""")
_SAYS_NOTHING = re.compile(
    r"[ \t]*(?:-+8<-+.*|\{\{[<%].*[%>]\}\}|\{:.*\}|\{[ \t]*[.#][^{}]*\}"
    r"""|(?:im|ex)port\s.+\sfrom\s+["'].+["'];?|import\s+["'].+["'];?)[ \t]*"""
)
# {% slack_channel "help" %} says "help"; an included file, a picture, or a condition says nothing.
_LIQUID = re.compile(
    r"""(?P<code>(`+).+?\2)|\{%-?[ \t]*(?P<name>[\w-]*)(?:[ \t]+["'](?P<says>[^"'{}]*)["'])?[^{}]*%\}"""
)
_FILES = frozenset(
    ("include", "include_relative", "image", "figure", "asset", "import", "extends", "render", "link", "load")
)
_CODE = re.compile(r"[ \t]*(?:>[ \t]*)*(`{3,}|~{3,})")
_STEP = 4  # columns that the text of an admonition is indented by
# Of these kinds only the title is of interest.
_CONTAINERS = frozenset(("tabs", "tab", "tab-item", "code-group", "details", "steps", "card", "cards", "grid", "div"))


def without_directives(source: str) -> str:
    """The text with as many lines as before."""
    lines = source.split("\n")
    fence = ""
    for number in range(len(lines)):  # what is dedented is met again, and so are the directives in it
        line = lines[number]
        if opening := _CODE.match(line):
            mark = opening[1]
            fence = ("" if mark.startswith(fence) else fence) if fence else mark
        elif not fence:
            if (found := _INDENTED.fullmatch(line)) and _dedent(lines, number + 1, len(found["indent"])):
                lines[number] = f"{found['indent']}**{found['tab'] or found['title'] or _named(found['kind'])}**"
            else:
                lines[number] = _rewritten(line)
    return "\n".join(lines)


def _dedent(lines: list[str], first: int, indent: int) -> bool:
    """Bring what belongs to a directive to the indentation of that. False where nothing belongs to it."""
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
    """One line that stands by itself."""
    if _SAYS_NOTHING.fullmatch(line):
        return ""
    if found := _FENCED.fullmatch(line):
        kind = found["kind"] or ""
        title = found["label"] or found["title"] or ("" if kind.lower() in _CONTAINERS else _named(kind))
        return f"{found['indent']}**{title}**" if title else ""
    if found := _QUOTED.fullmatch(line):
        return f"{found['indent']}**{found['title'] or _named(found['kind'])}**"
    if found := _COMPONENT.fullmatch(line):
        label = _LABEL.search(line)
        return f"{found['indent']}**{label['title']}**" if label else ""
    return _LIQUID.sub(lambda tag: tag["code"] or ("" if tag["name"] in _FILES else tag["says"] or ""), line)


def _named(kind: str) -> str:
    return kind.replace("-", " ").capitalize()
