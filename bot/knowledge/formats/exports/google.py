"""Exports of Google: documents that were downloaded as zipped web pages, and Google Drive from Takeout.

In a web page, links lead to Google, which leads on; comments stand at its end; and a list is divided at each change of depth.
Files of other formats are read as they stand. The files that Takeout adds about other files are left out.
"""

import re
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

from lxml import etree

from bot.core.errors import DocumentError
from bot.knowledge.formats.exports.archives import LARGEST_FILE, Archives
from bot.knowledge.formats.exports.export import Converted, Export, Part, Rules
from bot.knowledge.formats.exports.pages import lead, parsed_page, path_of, remove, with_class, written

_ABOUT_FILES = re.compile(r"(?:^|/)archive_browser\.html$|-(?:info\.json|comments\.html)$")
_AROUND = re.compile(r"^(?:\d+/)?Takeout/(?:Drive/)?")  # the folders around everything
_LIST = re.compile(r"\b(lst-kix_\w+)-(\d)\b")
_COMMENT = re.compile(r"cmnt\d+")
_COMMENT_MARK = re.compile(r"#?cmnt(?:_ref)?\d+")


def read(archives: Archives, _: Rules) -> Export:
    """Find the documents. Raises DocumentError."""
    export = Export()
    others = []
    for name in archives.names:
        suffix = PurePosixPath(name).suffix.lower()
        if _ABOUT_FILES.search(name):
            export.leave_out("not read (it is about other files)", name)
        elif suffix in (".html", ".htm") and archives.size(name) <= LARGEST_FILE:
            *folders, title = _titles(name).split("/")
            part = Part(export.free_path(folders, title, suffix), size=archives.size(name))
            export.add(part, partial(_page, archives, name))
        else:
            others.append(name)
    export.add_documents(archives, others, _titles)
    if not export.parts:
        raise DocumentError("there is no document in it; export Google Docs as DOCX or as a web page")
    return export


def _titles(name: str) -> str:
    return _AROUND.sub("", name).rpartition(".")[0]


def _page(archives: Archives, name: str) -> Converted:
    root = parsed_page(archives.read(name))
    comments = _without_comments(root)
    for title in with_class(root, "title"):
        title.tag = "h1"
    _nest_lists(root)
    lead(root, _target)
    left_out = ("had comments, which were left out",) if comments else ()
    return Converted(written(root), left_out)


def _target(link: str) -> str | None:
    """Return the address that a link by way of Google leads to."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.hostname not in ("www.google.com", "google.com") or parts.path != "/url":
        return None
    [target, *_] = parse_qs(parts.query).get("q", [""])
    return target if path_of(target) is None else None


def _without_comments(root: etree._Element) -> int:
    """Take the comments and their marks out of a page, and return their number."""
    comments = [link for link in root.iter("a") if _COMMENT.fullmatch(link.get("id") or "")]
    marks = [
        link for link in root.iter("a") if _COMMENT_MARK.fullmatch(link.get("href") or "") and link not in comments
    ]
    for comment in comments:
        around = next(comment.iterancestors("div"), None)
        remove(around if around is not None else next(comment.iterancestors("p"), comment))
    for mark in marks:
        above = mark.getparent()
        remove(above if above is not None and above.tag == "sup" and len(above) == 1 else mark)
    return len(comments)


def _nest_lists(root: etree._Element) -> None:
    """Put each list that goes on at another depth into the item that it belongs to."""
    for found in list(root.iter("ul", "ol")):
        here = _LIST.search(found.get("class") or "")
        before = found.getprevious()
        if here is None or before is None or before.tag not in ("ul", "ol"):
            continue
        above = _LIST.search(before.get("class") or "")
        if above is None or above[1] != here[1]:
            continue
        _append(before, found, int(here[2]) - int(above[2]))


def _append(above: etree._Element, below: etree._Element, deeper: int) -> None:
    """Add a list to the one before it: its items at the same depth, or as a list within the last item."""
    while deeper > 0 and len(above):
        inner = above[-1]
        last = inner[-1] if len(inner) and inner[-1].tag in ("ul", "ol") else None
        if last is None:
            inner.append(below)
            below.tail = None
            return
        above, deeper = last, deeper - 1
    items = list(below)
    remove(below)
    above.extend(items)
