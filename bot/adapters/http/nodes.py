"""Texts as trees of a few kinds of elements, which a page builds node by node: no text is ever parsed as HTML.

A node is a text, or an object with `tag`, `children`, and for a link `href`.
"""

import re
from collections.abc import Iterable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bot.adapters.layout import safe
from bot.core.markup import Markup, Piece

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
    """The nodes of pieces of an answer, in order."""
    return [node for piece in pieces for node in _piece(piece)]


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
