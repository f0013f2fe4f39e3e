"""Texts as trees of a few kinds of elements, for pages: no text of a document or a user is ever parsed as HTML.

A node is a text, or an object with `tag`, `children`, and for a link `href`. The chat's script builds them one by one; for the
console they are written as HTML.
"""

import re
from collections.abc import Iterable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup as Html
from markupsafe import escape

from bot.core.markup import Markup, Piece
from bot.core.text import safe

Node = str | dict[str, Any]

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
_TAGS = {
    "paragraph": "p",
    "heading": "h4",  # below the headings of the page itself
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "blockquote": "blockquote",
    "table": "table",
    "thead": "thead",
    "tbody": "tbody",
    "tr": "tr",
    "th": "th",
    "td": "td",
    "strong": "strong",
    "em": "em",
    "s": "s",
}
_WEB = re.compile(r"(?:https?|mailto):", re.IGNORECASE)


def nodes_of(pieces: Iterable[Piece]) -> list[Node]:
    """Return the nodes of pieces of an answer, in order."""
    return [node for piece in pieces for node in _piece(piece)]


def html_of(pieces: Iterable[Piece]) -> Html:
    """Return pieces as HTML, with all text and links escaped."""
    return _html(nodes_of(pieces))


def _html(nodes: Iterable[Node]) -> Html:
    return Html("").join(escape(node) if isinstance(node, str) else _html_element(node) for node in nodes)


def _html_element(node: dict[str, Any]) -> Html:
    tag, within = node["tag"], _html(node["children"])
    match tag:
        case "br" | "hr":
            return Html("<{}>").format(tag)
        case "a":
            return Html('<a href="{}" rel="noopener noreferrer">{}</a>').format(node["href"], within)
        case "plain":
            return Html('<p class="plain">{}</p>').format(within)
        case "pre":  # which scrolls, and so does what is around a table: for both a keyboard needs to get there
            return Html('<pre tabindex="0">{}</pre>').format(within)
        case "table":
            return Html('<div class="wide" tabindex="0"><table>{}</table></div>').format(within)
    return Html("<{0}>{1}</{0}>").format(tag, within)


def _piece(piece: Piece) -> list[Node]:
    if piece.markup is Markup.MARKDOWN:
        return _all(SyntaxTreeNode(_MARKDOWN.parse(safe(piece.text))).children)
    if piece.markup is Markup.CODE:
        return [_element("pre", [safe(piece.text)])]
    return [_element("plain", [_run(safe(text), bold, code) for text, bold, code in piece.runs])]


def _run(text: str, bold: bool, code: bool) -> Node:
    return _element("strong", [text]) if bold else _element("code", [text]) if code else text


def _all(nodes: Iterable[SyntaxTreeNode]) -> list[Node]:
    return [shown for node in nodes for shown in _shown(node)]


def _shown(node: SyntaxTreeNode) -> list[Node]:
    match node.type:
        case "text":
            return [node.content] if node.content else []
        case "softbreak":
            return [" "]
        case "hardbreak":
            return [_element("br", [])]
        case "hr":
            return [_element("hr", [])]
        case "code_inline":
            return [_element("code", [node.content])]
        case "fence" | "code_block":
            return [_element("pre", [node.content.rstrip("\n")])]
        case "image":  # which would be fetched from elsewhere
            return [node.content] if node.content else []
        case "link" if _WEB.match(href := str(node.attrs.get("href", ""))):
            return [_element("a", _all(node.children)) | {"href": href}]
        case "paragraph" if node.hidden:  # of a list without empty lines
            return _all(node.children)
    tag = _TAGS.get(node.type)
    return [_element(tag, _all(node.children))] if tag else _all(node.children)


def _element(tag: str, children: list[Node]) -> dict[str, Any]:
    return {"tag": tag, "children": children}
