"""The visible text of paragraphs in DOCX: links as Markdown, equations on one line, without hidden and deleted text."""

import re
from collections.abc import Mapping
from typing import Any

from docx.oxml.ns import qn

from bot.knowledge.formats.office.equations import EQUATION, equation_text
from bot.knowledge.formats.outline import link_text

# Tags to skip: fallbacks for old readers, deletions, and layout.
_PASSED_OVER = {qn(name) for name in ("w:del", "w:moveFrom", "w:delText", "w:rPr", "w:pPr", "w:object")}
_PASSED_OVER.add("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
_LINK_FIELD = re.compile(r'\s*HYPERLINK\s+"([^"]+)"', re.IGNORECASE)
_MARKS = {"tab": "\t", "cr": "\n", "noBreakHyphen": "\u2011"}
_CHARACTERS = {qn(f"w:{name}"): mark for name, mark in _MARKS.items()}


class ParagraphReader:
    """Reads paragraphs. `addresses` are those of links by relationship, `hidden_styles` the ids of styles that hide text.

    `hidden` has the texts that were left out because they are hidden.
    """

    def __init__(self, addresses: Mapping[str, str], hidden_styles: frozenset[str]) -> None:
        self.hidden: dict[str, None] = {}
        self._addresses = addresses
        self._hidden_styles = hidden_styles

    def text(self, paragraph: Any) -> str:
        """Return the text of a paragraph with its links."""
        return self._joined(paragraph, with_links=True)

    def words(self, paragraph: Any) -> str:
        """Return the text of a paragraph without the addresses of links, for headings and comparisons."""
        return self._joined(paragraph, with_links=False)

    def _joined(self, paragraph: Any, *, with_links: bool) -> str:
        if self._style(paragraph, "w:pPr", "w:pStyle") in self._hidden_styles:
            self._note("".join(text.text or "" for text in paragraph.iter(qn("w:t"))))
            return ""
        parts = _Parts(with_links=with_links)
        self._gather(paragraph, parts)
        return "".join(parts.texts)

    def _gather(self, element: Any, parts: "_Parts") -> None:
        for child in element.iterchildren():
            tag = child.tag
            if tag == qn("w:t"):
                parts.texts.append(child.text or "")
            elif tag == qn("w:r"):
                self._gather_run(child, parts)
            elif mark := _CHARACTERS.get(tag):
                parts.texts.append(mark)
            elif tag == qn("w:br"):
                parts.texts.append("\n" if child.get(qn("w:type")) in (None, "textWrapping") else "")
            elif tag == qn("w:p"):  # a text box, which stands beside the paragraph that holds it
                parts.texts.append("\n")
                self._gather(child, parts)
            elif tag == EQUATION:
                parts.texts.append(equation_text(child))
            elif tag == qn("w:hyperlink"):
                self._gather_link(child, self._addresses.get(child.get(qn("r:id"), ""), ""), parts)
            elif tag == qn("w:fldSimple"):
                found = _LINK_FIELD.match(child.get(qn("w:instr"), ""))
                self._gather_link(child, found[1] if found else "", parts)
            elif tag == qn("w:fldChar"):
                parts.field(child.get(qn("w:fldCharType")))
            elif tag == qn("w:instrText"):
                parts.instruct(child.text or "")
            elif tag not in _PASSED_OVER:
                self._gather(child, parts)

    def _gather_run(self, run: Any, parts: "_Parts") -> None:
        if self._is_hidden(run):
            self._note("".join(text.text or "" for text in run.iter(qn("w:t"))))
        else:
            self._gather(run, parts)

    def _gather_link(self, element: Any, address: str, parts: "_Parts") -> None:
        start = len(parts.texts)
        self._gather(element, parts)
        parts.link(start, address)

    def _is_hidden(self, run: Any) -> bool:
        properties = run.find(qn("w:rPr"))
        if properties is None:
            return False
        vanish = properties.find(qn("w:vanish"))
        return is_on(vanish) if vanish is not None else self._style(run, "w:rPr", "w:rStyle") in self._hidden_styles

    def _style(self, element: Any, properties: str, name: str) -> str | None:
        style = element.find(f"{qn(properties)}/{qn(name)}")
        return None if style is None else style.get(qn("w:val"))

    def _note(self, text: str) -> None:
        if text.strip():
            self.hidden.setdefault(text.strip())


class _Parts:
    """The texts of a paragraph so far, with the fields that are open in them."""

    def __init__(self, *, with_links: bool) -> None:
        self.texts: list[str] = []
        self._with_links = with_links
        self._fields: list[tuple[list[str], int]] = []  # (instructions, where the result begins)

    def link(self, start: int, address: str) -> None:
        """Make a link of the texts from `start` on."""
        if self._with_links and address:
            self.texts[start:] = [link_text("".join(self.texts[start:]), address)]

    def instruct(self, text: str) -> None:
        if self._fields:
            self._fields[-1][0].append(text)

    def field(self, kind: str | None) -> None:
        """Begin or end a field, or begin its result."""
        if kind == "begin":
            self._fields.append(([], len(self.texts)))
        elif kind == "separate" and self._fields:
            self._fields[-1] = (self._fields[-1][0], len(self.texts))
        elif kind == "end" and self._fields:
            instructions, start = self._fields.pop()
            if found := _LINK_FIELD.match("".join(instructions)):
                self.link(start, found[1])


def is_on(switch: Any) -> bool:
    """Return whether a switch is present and not off."""
    return switch is not None and switch.get(qn("w:val")) not in ("0", "false", "off")
