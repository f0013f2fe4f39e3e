"""The parts of an HTML page that aren't content: controls, hidden text, and the frame of navigation and notices around it.

Tags and roles count where HTML gives them a meaning. The name of a class or an id alone never leaves anything out, because
authors use the same words for content: a name must be borne out by the text, such as one that consists of links.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial

from lxml import etree

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

_NO_TEXT = frozenset(
    """
    script style template noscript svg canvas select input textarea iframe object embed audio video map head title link meta
    datalist
    """.split()
)
_FRAME_ROLES = frozenset("navigation contentinfo search menu menubar toolbar tablist".split())
_DIALOG_ROLES = ("dialog", "alertdialog")
# A header or footer within one of these belongs to it, and not to the page.
_SECTIONS = frozenset("article aside main section li td blockquote figure".split())
_CONTAINERS = frozenset("div section aside ul ol dl table header footer form p center fieldset details".split())
_FRAME_NAMES = frozenset(
    """
    nav navbar navigation sidebar sidenav menu breadcrumb breadcrumbs footer toc contents pagination pager related share
    social skip edit
    """.split()
)
_CONSENT_NAMES = re.compile(r"cookie|consent|gdpr|ccpa|onetrust|didomi|usercentrics|klaro|truste|cmp", re.IGNORECASE)
_CONSENT_TEXT = re.compile(
    r"cookie.*\b(?:accept|agree|allow|reject|decline|refuse|consent|settings|preferences|akzeptieren|ablehnen|zustimm\w*|"
    r"einstellungen|accepter|refuser|aceptar|rechazar)\b|\b(?:accept|agree|allow|reject|decline|consent)\b.*cookie",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_NOTICE = 1500  # characters
_SHORTEST_TEXT = 3  # words, below which an element with the name of a frame is one
_WORDS_OF_A_FORM = 8  # beside its labels and controls, from which a form holds text
_WORD = re.compile(r"\w+")
_REVEALING = ("aria-controls", "data-target", "data-bs-target", "data-tab-target", "for")


class Frame:
    """Tells for the elements of one page whether they are content, and which tab shows a panel."""

    def __init__(self, root: etree._Element) -> None:
        self._hidden: dict[etree._Element, None] = {}
        self._ids = {name: element for element in root.iter(etree.Element) if (name := element.get("id"))}
        self._revealed = set(_revealed(root))
        self._above_headings = set(_lists_above_headings(root))
        self._controls: set[etree._Element] = set()
        self._labels = self._labels_of_panels(root)

    @property
    def hidden(self) -> Iterable[etree._Element]:
        """The elements with text that were left out because a browser doesn't show them, or as a notice about cookies."""
        return self._hidden

    def leaves_out(self, element: etree._Element) -> bool:
        """Return whether an element with all that is in it isn't content."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _NO_TEXT or tag == "nav" or element.get("role") in _FRAME_ROLES:
            return True
        if self._is_hidden(element) or _is_consent(element):
            if _text(element):
                self._hidden[element] = None
            return True
        if tag == "form":
            return _words_beside(element, "label", "button", "a", "option") < _WORDS_OF_A_FORM
        if tag == "button":
            return not self._is_within_text(element)
        if tag == "a":
            return _is_mark(element)
        if element in self._controls:
            return True
        return tag in _CONTAINERS and self._is_frame(element)

    def label(self, element: etree._Element) -> str:
        """Return the label of the tab that shows this element; empty if none does."""
        return self._labels.get(element, "")

    def opens(self, element: etree._Element) -> bool:
        """Return whether an element is the title of a panel that it opens: a summary, or a button right before it."""
        if element.tag == "summary":
            return True
        panel = element.getnext() if element.tag == "button" else None
        return panel is not None and panel.tag in ("div", "section", "p") and not (element.tail or "").strip()

    def opened(self, element: etree._Element) -> bool:
        """Return whether an element is the panel that the button right before it opens."""
        above = element.getprevious()
        return above is not None and above.tag == "button" and self.opens(above)

    def _is_hidden(self, element: etree._Element) -> bool:
        style = re.sub(r"\s", "", element.get("style") or "").lower()
        dialog = element.tag == "dialog" or element.get("role") in _DIALOG_ROLES
        hidden = element.get("hidden") not in (None, "until-found") or element.get("aria-hidden") == "true"
        if not (hidden or dialog or "display:none" in style or "visibility:hidden" in style):
            return False
        return not self._can_be_opened(element)

    def _can_be_opened(self, element: etree._Element) -> bool:
        """Return whether a control shows an element: one that names it, or a button right above it, maybe in a heading."""
        if element.get("id") in self._revealed or element in self._labels or element.get("role") == "tabpanel":
            return True
        above = element.getprevious()
        return above is not None and next(above.iter("button"), None) is not None

    def _is_frame(self, element: etree._Element) -> bool:
        tag, role = element.tag, element.get("role")
        if tag == "footer" and not _is_within_section(element):
            return True
        if role == "banner" or (tag == "header" and not _is_within_section(element)):
            # A page that puts a heading into its header means it to be read.
            return next(element.iter(*HEADINGS), None) is None
        if tag in ("ul", "ol") and (element in self._above_headings or _leads_within(element)):
            return _is_mostly_links(element)
        words = {word for name in _names(element) for word in re.findall("[a-z]+", name.lower())}
        named = tag == "aside" or role == "complementary" or not _FRAME_NAMES.isdisjoint(words)
        return named and _is_mostly_links(element)

    def _is_within_text(self, button: etree._Element) -> bool:
        """Return whether a button is part of the text: in a heading or a sentence, or the title of a panel."""
        if self.opens(button) or any(above.tag in (*HEADINGS, "summary", "dt") for above in button.iterancestors()):
            return True
        parent = button.getparent()
        around = [] if parent is None else [parent.text, *(child.tail for child in parent)]
        return any(text and _WORD.search(text) for text in around)

    def _labels_of_panels(self, root: etree._Element) -> dict[etree._Element, str]:
        """Return the labels of the panels of tabs: by ids, or as many labels in the element before as there are panels."""
        labels: dict[etree._Element, str] = {}
        for control in root.iter("a", "button", "li", "label", "div"):
            if control.get("role") == "tab":
                names = map(partial(_target, control), ("aria-controls", "data-bs-target", "data-target", "href"))
                panel = next((self._ids[name] for name in names if name in self._ids), None)
                if panel is not None and panel is not control:
                    labels[panel] = _text(control)
        for panel in root.iter("div", "section"):
            if panel.get("role") == "tabpanel" and panel not in labels:
                named = (self._ids.get(name) for name in (panel.get("aria-labelledby") or "").split())
                labels[panel] = " ".join(_text(element) for element in named if element is not None)
            if beside := dict(_labelled_children(panel)):
                labels.update(beside)
                self._controls.add(panel.getprevious())
        return {panel: label for panel, label in labels.items() if label}


def _labelled_children(panels: etree._Element) -> Iterator[tuple[etree._Element, str]]:
    """Yield the children of an element, if the element before it holds as many labels and nothing else."""
    above = panels.getprevious()
    labels = [] if above is None or not isinstance(above.tag, str) else list(above)
    if 1 < len(labels) == len(panels) and {label.tag for label in labels} in ({"label"}, {"button"}):
        yield from zip(panels, map(_text, labels), strict=True)


def _revealed(root: etree._Element) -> Iterator[str]:
    """Yield the ids that a control or a link on the page names."""
    for element in root.iter("a", "button", "label", "li", "div", "span", "summary"):
        yield from filter(None, (_target(element, name) for name in (*_REVEALING, "href")))


def _target(element: etree._Element, attribute: str) -> str:
    value = element.get(attribute) or ""
    return value.removeprefix("#") if attribute != "href" or value.startswith("#") else ""


def _lists_above_headings(root: etree._Element) -> Iterator[etree._Element]:
    """Yield the lists with several links above the first heading and outside of the main part, if there are headings."""
    lists: list[etree._Element] = []
    for element in root.iter("ul", "ol", *HEADINGS):
        if element.tag in HEADINGS:
            yield from (above for above in lists if not _is_in_main(above) and len(list(above.iter("a"))) > 1)
            return
        lists.append(element)


def _is_consent(element: etree._Element) -> bool:
    """Return whether an element is a notice that asks for consent to cookies."""
    if element.tag not in _CONTAINERS or not any(map(_CONSENT_NAMES.search, _names(element))):
        return False
    text = _text(element)
    return len(text) < _LONGEST_NOTICE and _CONSENT_TEXT.search(text) is not None and not _is_in_main(element)


def _is_within_section(element: etree._Element) -> bool:
    return any(above.tag in _SECTIONS for above in element.iterancestors())


def _names(element: etree._Element) -> list[str]:
    return f"{element.get('class') or ''} {element.get('id') or ''}".split()


def _text(element: etree._Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _count(texts: Iterator[str]) -> int:
    return sum(len(_WORD.findall(text)) for text in texts)


def _words_beside(element: etree._Element, *tags: str) -> int:
    """Count the words of an element outside of its descendants with these tags."""

    def texts(above: etree._Element) -> Iterator[str]:
        yield above.text or ""
        for child in above:
            if isinstance(child.tag, str) and child.tag not in tags and child.tag not in _NO_TEXT:
                yield from texts(child)
            yield child.tail or ""

    return _count(texts(element))


def _is_mostly_links(element: etree._Element) -> bool:
    """Return whether most words of an element are in links, or it has hardly any words."""
    linked = sum(_count(link.itertext()) for link in element.iter("a", "button"))
    total = _count(iter([_text(element)]))
    return total < _SHORTEST_TEXT or total < 2 * linked


def _leads_within(element: etree._Element) -> bool:
    """Return whether all links of a list, at least two, lead to places of the same page: a table of its contents."""
    links = list(element.iter("a"))
    return len(links) > 1 and all((link.get("href") or "").startswith("#") for link in links)


def _is_in_main(element: etree._Element) -> bool:
    return any(above.tag in ("main", "article") or above.get("role") == "main" for above in element.iterancestors())


def _is_mark(link: etree._Element) -> bool:
    """Return whether a link is only the mark beside a heading that leads to it: ¶, # or a picture."""
    return (link.get("href") or "").startswith("#") and not _WORD.search(_text(link))
