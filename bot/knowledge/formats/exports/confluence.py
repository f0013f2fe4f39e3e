"""Exports of Confluence spaces as HTML: a folder a space, with a file a page, and the attachments of each page below it.

Of a page, its content is read. The trail above it, the names of its authors, the list of its attachments and its comments are
left out; attachments are documents of their own, called as on the page that has them.
"""

import html
import posixpath
import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote

from lxml import etree

from bot.core.errors import DocumentError
from bot.knowledge.formats.exports.archives import LARGEST_FILE, Archives, relative
from bot.knowledge.formats.exports.export import Converted, Export, Part, Rules
from bot.knowledge.formats.exports.pages import Resolve, as_page, lead, parsed_page, path_of

_PAGE = re.compile(r"(?:.*_)?(?P<id>\d+)\.html")
_OVERVIEW = "index.html"
_TITLE = re.compile(rb"<title>([^<]*)</title>", re.IGNORECASE)
_ATTACHMENT = re.compile(rb"""<a\s[^<>]*?href=["']([^"'<>]*?attachments/[^"'<>]+)["'][^<>]*>([^<]+)</a>""")
_BETWEEN = " : "  # the name of the space and the title of the page


def read(archives: Archives, rules: Rules) -> Export:
    """Find the pages and their attachments. Raises DocumentError."""
    export = Export()
    identities = {name: found["id"] for name in archives.names if (found := _PAGE.fullmatch(PurePosixPath(name).name))}
    if not identities:
        raise DocumentError("there is no page of Confluence in it; export the space as HTML")
    titles: dict[str, str] = {}
    attached: dict[str, str] = {}
    for name in identities:
        if archives.size(name) > LARGEST_FILE:
            export.leave_out("not read (too large)", name)
            continue
        content = archives.read(name)
        titles[name] = _title(content) or PurePosixPath(name).stem
        attached |= _attachments(name, content)
    for name, title in _without_spaces(titles).items():
        path = export.free_path(posixpath.dirname(name).split("/"), title, ".html")
        resolve = partial(_resolved, name, identities, rules)
        part = Part(path, rules.address(identities[name]), archives.size(name))
        export.add(part, partial(_page, archives, name, title, resolve))
    others = [name for name in archives.names if name not in identities]
    for name in others:
        if PurePosixPath(name).name == _OVERVIEW:
            export.leave_out("not read (a list of pages)", name)
    documents = [name for name in others if PurePosixPath(name).name != _OVERVIEW]
    export.add_documents(archives, documents, lambda name: attached.get(name, name.rpartition(".")[0]))
    return export


def _page(archives: Archives, name: str, title: str, resolve: Resolve) -> Converted:
    root = parsed_page(archives.read(name))
    comments = len({comment.get("name") for comment in root.iter("a") if _is_comment(comment)})
    left_out = ("had comments, which were left out",) if comments else ()
    contents = root.xpath("//*[@id='main-content']")
    content = contents[0] if contents else next(root.iter("body"), root)
    lead(content, resolve)
    return Converted(as_page(title, content), left_out)


def _is_comment(link: etree._Element) -> bool:
    return (link.get("name") or "").startswith("comment-")


def _resolved(name: str, identities: Mapping[str, str], rules: Rules, link: str) -> str | None:
    path = path_of(link)
    identity = identities.get(relative(name, unquote(path))) if path is not None else None
    return rules.address(identity) if identity else None


def _title(content: bytes) -> str:
    found = _TITLE.search(content)
    return " ".join(html.unescape(found[1].decode("utf-8", "replace")).split()) if found else ""


def _without_spaces(titles: Mapping[str, str]) -> dict[str, str]:
    """Return the titles of pages without the name of their space, with which all pages of a folder begin."""
    beginnings: dict[str, set[str]] = {}
    for name, title in titles.items():
        space, between, _ = title.partition(_BETWEEN)
        beginnings.setdefault(posixpath.dirname(name), set()).add(space if between else "")
    in_spaces = {folder for folder, found in beginnings.items() if len(found) == 1 and "" not in found}
    return {
        name: title.partition(_BETWEEN)[2] if posixpath.dirname(name) in in_spaces else title
        for name, title in titles.items()
    }


def _attachments(name: str, content: bytes) -> dict[str, str]:
    """Return the new path of each file attached to a page: its name there without the ending, in the space's folder."""
    found = {}
    for link, words in _ATTACHMENT.findall(content):
        file = relative(name, unquote(html.unescape(link.decode("utf-8", "replace"))))
        title = PurePosixPath(html.unescape(words.decode("utf-8", "replace")).replace("/", " ").strip()).stem
        found[file] = posixpath.join(posixpath.dirname(name), title)
    return found
