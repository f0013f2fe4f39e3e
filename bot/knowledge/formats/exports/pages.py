"""Pages of exports in HTML: parsing them, giving their links addresses, and writing them again."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from lxml import etree

from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.html.loader import declared_encoding, parsed

Resolve = Callable[[str], str | None]
"""The address of the page that a link leads to, empty if the page has none; None if the link leads to no page of the export."""


def parsed_page(content: bytes) -> etree._Element:
    """Parse a page. Raises DocumentError."""
    text, _ = decode(content, declared_encoding(content))
    return parsed(text)


def written(root: etree._Element) -> bytes:
    """Return a page as HTML in UTF-8."""
    html: bytes = etree.tostring(root, method="html", encoding="utf-8", doctype="<!DOCTYPE html>")
    return html


def as_page(title: str, content: etree._Element) -> bytes:
    """Return an element as a page of this title."""
    page = etree.Element("html")
    body = etree.SubElement(page, "body")
    etree.SubElement(body, "h1").text = title
    main = etree.SubElement(body, "main")
    main.append(content)
    content.tail = None
    if content.tag == "body":
        content.tag = "div"
    main.insert(0, body[0])
    return written(page)


def lead(root: etree._Element, resolve: Resolve) -> None:
    """Give links the addresses that `resolve` has for them. Those without an address, and relative ones, become their words."""
    for link in root.iter("a"):
        target = link.get("href")
        if target is None or target.startswith("#"):
            continue
        address = resolve(target)
        if address:
            link.set("href", address)
        elif address is not None or path_of(target) is not None:
            del link.attrib["href"]


def path_of(link: str) -> str | None:
    """Return the path of a relative link, None for any other link."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else parts.path


def remove(element: etree._Element) -> None:
    """Take an element out of its page; the text behind it stays."""
    parent = element.getparent()
    if parent is None:
        return
    before, tail = element.getprevious(), element.tail or ""
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)


def with_class(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the elements of a class."""
    return (element for element in root.iter(etree.Element) if name in (element.get("class") or "").split())
