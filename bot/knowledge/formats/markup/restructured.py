"""The loader for reStructuredText, by docutils, which may not open other files. Sphinx's markup is read as text."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

from bot.core.documents import Document, Form, Locator
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.outline import Item, Outline, link_text, list_text, listed, table_text

_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,  # nothing is printed
    "halt_level": 5,
    "doctitle_xform": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "line_length_limit": 1_000_000,
}
_DIRECTIVE = re.compile(r"^[ \t]*\.\. +(?:\|[^|\n]+\| +)?([\w.:+-]+?)::(?:[ \t]|$)", re.MULTILINE)
_ROLE = re.compile(r":([\w.:+-]+):`")
_TARGET = re.compile(r"\s*<[^<>]+>$", re.DOTALL)
_OPTION = re.compile(r"\s*:[\w-]+:")
# Known or not: docutils drops code with an option that only Sphinx has.
_CODE = ("code", "code-block", "sourcecode", "prompt", "doctest", "testcode", "testoutput", "console", "productionlist")
_LEFT_OUT = ("toctree", "index", "highlight", "currentmodule", "graphviz", "mermaid", "tags")
_INCLUDED = re.compile(r"^[ \t]*\.\. +((?:literal)?include):: *(\S+)", re.MULTILINE)
# What Sphinx writes for a change of a version.
_VERSIONS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
}


def load(path: str, content: bytes) -> Document:
    text, warnings = decode(content)
    _take_in_what_is_unknown(text)
    doctree = publish_doctree(text, settings_overrides=_SETTINGS)
    outline = Outline(warnings=warnings)
    _Writer(outline, text.split("\n")).write(doctree, 1)
    if included := [f"`{path}`" for _, path in _INCLUDED.findall(text)]:
        outline.warnings.append(f"other files that it includes aren't read with it: {listed(included)}")
    for message in doctree.findall(nodes.system_message):
        if message.get("level", 0) >= 3:
            outline.warnings.append(f"{_shortened(message.astext())} (line {message.get('line', '?')})")
            break  # one mistake leads to many messages
    return outline.document(path)


def _shortened(message: str) -> str:
    return " ".join(message.split("\n")[0].split())[:200]


# --- what docutils doesn't know ---------------------------------------------------------------------------------------


class _Contents(Directive):
    """Reads the argument and the content of an unknown directive as text."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = None

    def run(self) -> Sequence[nodes.Node]:
        name = self.name.lower().rpartition(":")[2]
        if name in _LEFT_OUT or name == "literalinclude":
            return []
        if name in _CODE:
            code = "\n".join(self.content)
            return [nodes.literal_block(code, code)]
        container = nodes.container()
        # Without a list of its options, these are among its arguments, and so is text without an empty line above.
        lines = [line for line in "\n".join(self.arguments).split("\n") if line.strip() and not _OPTION.match(line)]
        written = "\n".join(lines)
        if name in _VERSIONS and lines:
            version, _, rest = lines[0].strip().partition(" ")
            remark = " ".join([rest, *lines[1:]]).strip()
            lines = [f"{_VERSIONS[name]} {version}{': ' if remark else '.'}{remark}"]
        if lines and name != "only":  # whose argument is a condition
            text, messages = self.state.inline_text("\n".join(lines), self.lineno)
            container += nodes.paragraph("", "", *text, written=written)
            container += messages
        self.state.nested_parse(self.content, self.content_offset, container)
        return [container]


def _text_role(name: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    """Read ``:ref:`Title <target>` `` as its title, and a name such as ``:class:`Thing` `` as code."""
    title = _TARGET.sub("", text)
    shown = title.lstrip("~!")
    plain = title != text or name.rpartition(":")[2] in ("ref", "doc", "term", "guilabel", "menuselection", "abbr")
    return [nodes.inline(rawtext, shown) if plain else nodes.literal(rawtext, shown)], []


def _take_in_what_is_unknown(text: str) -> None:
    """Register readers for the directives and roles of the text that docutils doesn't know, and would drop."""
    for name in set(_DIRECTIVE.findall(text)):
        if name.lower() not in en.directives or name.lower() in _CODE:
            directives.register_directive(name.lower(), _Contents)
    for name in set(_ROLE.findall(text)):
        if name.lower() not in en.roles:
            roles.register_local_role(name.lower(), _text_role)


# --- nodes -> blocks --------------------------------------------------------------------------------------------------

_SKIPPED = (
    nodes.comment,
    nodes.system_message,
    nodes.substitution_definition,
    nodes.target,
    nodes.pending,
    nodes.image,
    nodes.raw,
    nodes.docinfo,
    nodes.transition,
    nodes.problematic,
)


class _Writer:
    """Writes the headings and blocks of the tree, in order."""

    def __init__(self, outline: Outline, lines: list[str]) -> None:
        self._outline = outline
        self._lines = lines
        self._line = 1  # where the last block began: the next one can't begin earlier

    def write(self, parent: nodes.Node, level: int) -> None:
        for node in parent.children:
            self._write(node, level)

    def _write(self, node: nodes.Node, level: int) -> None:
        if isinstance(node, nodes.section):
            self._heading(node, level)
            self.write(node, level + 1)
        elif isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            self._block(Form.LIST, list_text(list(_items(node))))
        elif isinstance(node, nodes.definition_list | nodes.field_list | nodes.option_list):
            self._block(Form.LIST, list_text([Item(_described(item)) for item in node.children]))
        elif isinstance(node, nodes.literal_block | nodes.doctest_block | nodes.math_block):
            self._block(Form.CODE, node.astext())
        elif isinstance(node, nodes.table):
            self._table(node)
        elif isinstance(node, nodes.topic | nodes.sidebar | nodes.Admonition):
            self._aside(node, level)
        elif isinstance(node, nodes.footnote | nodes.citation):
            self._block(Form.PARAGRAPH, "\n".join(_text(child) for child in node.children if not _is_label(child)))
        elif isinstance(node, nodes.paragraph | nodes.line_block | nodes.rubric | nodes.caption | nodes.attribution):
            self._block(Form.PARAGRAPH, _text(node), node.get("written"))
        elif not isinstance(node, (*_SKIPPED, nodes.title, nodes.Text)):
            self.write(node, level)

    def _heading(self, section: nodes.section, level: int) -> None:
        title = next((child for child in section.children if isinstance(child, nodes.title)), None)
        if title is not None:
            text = str(title.astext())
            self._outline.heading(level, text, self._locator(text))

    def _aside(self, node: nodes.Element, level: int) -> None:
        """Write the content of a box below its title. A table of contents is passed over."""
        if "contents" in node.get("classes", ()):
            return
        for title in node.children:
            if isinstance(title, nodes.title | nodes.subtitle):
                self._block(Form.PARAGRAPH, _text(title))
        self.write(node, level)

    def _table(self, table: nodes.table) -> None:
        for title in table.findall(nodes.title):
            self._block(Form.PARAGRAPH, _text(title))
        rows = [[_text(entry) for entry in row.children] for row in table.findall(nodes.row)]
        self._block(Form.TABLE, table_text(rows))

    def _block(self, form: Form, text: str, written: str | None = None) -> None:
        """Add a block. `written` is its source in the file, if that has other words."""
        if text.strip():
            self._outline.block(form, text, self._locator(written or text))

    def _locator(self, text: str) -> Locator:
        """Return the lines of a block: from that of its first word to the last before the blank line that ends it."""
        words = re.findall(r"\w+", text)
        if not words:
            return Locator(lines=(self._line, self._line))
        first = self._find(words[0], max(self._line, 1))
        # What is long is not looked for word by word: its last words are enough.
        last = first
        for word in words[1:]:
            last = self._find(word, last, within=60) or last
        self._line = first
        return Locator(lines=(first, last))

    def _find(self, word: str, start: int, within: int | None = None) -> int:
        """Return the first line from `start` on that holds the word, else `start`."""
        end = len(self._lines) if within is None else min(len(self._lines), start + within)
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        return next((n for n in range(start, end + 1) if pattern.search(self._lines[n - 1])), start)


def _is_label(node: nodes.Node) -> bool:
    return isinstance(node, nodes.label)


def _items(node: nodes.Node, depth: int = 0) -> Iterator[Item]:
    number = node.get("start", 1) if isinstance(node, nodes.enumerated_list) else None
    for item in node.children:
        lists = [child for child in item.children if isinstance(child, nodes.bullet_list | nodes.enumerated_list)]
        text = "\n".join(_text(child) for child in item.children if child not in lists)
        yield Item(text, depth, number)
        for inner in lists:
            yield from _items(inner, depth + 1)
        number = None if number is None else number + 1


def _described(item: nodes.Node) -> str:
    """Return a term, a field or an option, with its description."""
    name, *parts = item.children or [nodes.Text("")]
    classifiers = [child for child in parts if isinstance(child, nodes.classifier)]
    text = "\n".join(_text(child) for child in parts if child not in classifiers)
    names = ", ".join(_text(child) for child in (name, *classifiers))
    return f"{names}: {text}" if text else names


def _text(node: nodes.Node) -> str:
    """Return the text of a node without markup, one line a paragraph, with code in backticks."""
    if isinstance(node, nodes.Text):
        return str(node.astext())
    if isinstance(node, nodes.literal):
        return f"`{node.astext()}`"
    if isinstance(node, nodes.footnote_reference | nodes.citation_reference | nodes.label):
        return ""  # a mark such as [3]
    if isinstance(node, nodes.reference) and (address := node.get("refuri")):
        return link_text("".join(map(_text, node.children)), str(address))
    if isinstance(node, nodes.literal_block | nodes.line_block):
        return str(node.astext())
    if isinstance(node, _SKIPPED) and not isinstance(node, nodes.problematic):
        return str(node.get("alt", "")) if isinstance(node, nodes.image) else ""
    if isinstance(node, nodes.paragraph | nodes.title | nodes.term | nodes.TextElement):
        return " ".join("".join(map(_text, node.children)).split())
    return "\n".join(filter(None, map(_text, node.children)))
