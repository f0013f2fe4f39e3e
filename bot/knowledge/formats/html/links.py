"""The links of a page or of a sitemap, for a crawl of a website. Nothing is fetched here."""

import re

from lxml import etree

from bot.core.documents import Links
from bot.core.errors import DocumentError
from bot.knowledge.formats.html.loader import parsed

_MOST = 5_000  # links of a page; a sitemap may have ten times as many
_LONGEST = 2_000  # characters of a link
_SITEMAP = re.compile(rb"<(?:\w+:)?(?:urlset|sitemapindex)\b")
_REFRESH = re.compile(r"""\s*[\d.]+\s*[;,]\s*url\s*=\s*["']?([^"']+)""", re.IGNORECASE)


def links_of(content: bytes) -> Links:
    """Read the links of an HTML page or of a sitemap. Raises DocumentError."""
    return _of_sitemap(content) if _SITEMAP.search(content[:4096]) else _of_page(content)


def _of_sitemap(content: bytes) -> Links:
    parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False, recover=True, huge_tree=False)
    root = etree.fromstring(content, parser)
    if root is None:
        raise DocumentError("there is no sitemap in it; check that the file is complete")
    places: dict[str, list[str]] = {"url": [], "sitemap": []}
    for element in root:
        found = places.get(etree.QName(element).localname) if isinstance(element.tag, str) else None
        if found is not None and len(found) < 10 * _MOST:
            found += [
                location.text.strip()
                for location in element
                if isinstance(location.tag, str) and etree.QName(location).localname == "loc" and location.text
            ]
    return Links(tuple(places["url"]), tuple(places["sitemap"]))


def _of_page(content: bytes) -> Links:
    root = parsed(content.decode("utf-8", "replace"))
    found: dict[str, None] = {}  # in the order of the page
    for element in root.iter("a", "area"):
        link = element.get("href") or ""
        if link and len(link) <= _LONGEST and len(found) < _MOST and "nofollow" not in _words(element.get("rel")):
            found[link] = None
    allowed: set[str] = set()
    for meta in root.iter("meta"):
        if (meta.get("name") or "").lower() in ("robots", "knowledge-bot"):
            allowed |= _words((meta.get("content") or "").replace(",", " "))
        refresh = _REFRESH.match(meta.get("content") or "")
        if (meta.get("http-equiv") or "").lower() == "refresh" and refresh:
            found[refresh[1].strip()] = None
    canonical = next((link.get("href") for link in root.iter("link") if "canonical" in _words(link.get("rel"))), None)
    return Links(
        tuple(found),
        base=next((base.get("href") for base in root.iter("base") if base.get("href")), ""),
        canonical=canonical or "",
        index=allowed.isdisjoint({"noindex", "none"}),
        follow=allowed.isdisjoint({"nofollow", "none"}),
    )


def _words(attribute: str | None) -> set[str]:
    return set((attribute or "").lower().split())
