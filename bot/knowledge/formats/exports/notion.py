"""Exports of Notion, as Markdown and CSV or as HTML.

The name of a page's file ends with its identity of 32 hexadecimal digits, and links between pages lead to these names. A
database is a table in CSV; the one that ends with `_all` has all of its rows, the other one those of a view.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote

from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.exports.archives import Archives, relative
from bot.knowledge.formats.exports.export import Converted, Export, Part, Rules
from bot.knowledge.formats.exports.pages import Resolve, lead, parsed_page, path_of, written
from bot.knowledge.formats.outline import fences

_IDENTITY = re.compile(r"(?P<title>.*?)(?:^|[ _-])(?P<id>[0-9a-f]{32})(?P<all>_all)?$", re.DOTALL)
_ON_THE_WEB = re.compile(r"https://(?:www\.)?notion\.(?:so|com)/(?:[^\s?#]*[/-])?(?P<id>[0-9a-f]{32})(?:[?#]\S*)?$")
_PAGES = (".md", ".html", ".csv")
# [words](target) and ![words](target), whose words may have brackets and whose target may have parentheses of their own.
_LINK = re.compile(
    r"(?P<image>!?)\[(?P<words>(?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)"
)
# A relation to a page, in a table or in the properties above a page: Words (Folder/Words%20id.md).
_RELATION = re.compile(r" \((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*[0-9a-f]{32}(?:\.md|\.csv|\?pvs=\d+)?)\)")
_WRAPPING = re.compile(r"Export(?:Block)?-[0-9a-f-]{36}(?:-Part-\d+)?")  # the folder around everything
_FILE_NAME = re.compile(r"\.\w{2,4}$")
_CALLOUT = re.compile(r"[ \t]*</?aside>[ \t]*")


def read(archives: Archives, rules: Rules) -> Export:
    """Find the pages, databases and attached documents. Raises DocumentError."""
    export = Export()
    identities = {name: found["id"] for name in archives.names if (found := _identified(name)) and _is_page(name)}
    if not identities:
        raise DocumentError("there is no page of Notion in it; export the workspace or a page as Markdown & CSV")
    views = {name for name in identities if f"{name.removesuffix('.csv')}_all.csv" in archives}
    by_identity = {identity: name for name, identity in identities.items()}
    for name in sorted(set(identities) - views, key=lambda name: (_titles(name), identities[name])):
        identity = identities[name]
        *folders, title = _titles(name).split("/")
        suffix = PurePosixPath(name).suffix
        resolve = partial(_resolved, name, identities, by_identity, rules)
        path = export.free_path(folders, title, suffix)
        export.add(Part(path, rules.address(identity), archives.size(name)), partial(_page, archives, name, resolve))
    others = [name for name in archives.names if name not in identities]
    export.add_documents(archives, [name for name in others if not _is_overview(name)], _titles)
    return export


def _page(archives: Archives, name: str, resolve: Resolve) -> Converted:
    content = archives.read(name)
    if name.endswith(".html"):
        root = parsed_page(content)
        lead(root, resolve)
        return Converted(written(root))
    text, _ = decode(content)
    if name.endswith(".csv"):
        return Converted(_without_relations(text, resolve).encode())
    lines = text.split("\n")
    cleaned = [line if code else _line(line, resolve) for line, code in zip(lines, fences(lines), strict=True)]
    return Converted("\n".join(cleaned).encode())


def _line(line: str, resolve: Resolve) -> str:
    """Return a line of Markdown with links that lead where people can follow, and without the tags around a callout."""
    if _CALLOUT.fullmatch(line):
        return ""
    return _without_relations(_LINK.sub(lambda link: _link(link, resolve), line), resolve)


def _link(link: re.Match[str], resolve: Resolve) -> str:
    words, target = link["words"], link["target"]
    address = resolve(target)
    if link["image"]:  # its words are a caption, or the name of its file
        return "" if _FILE_NAME.search(words) else words
    if address:
        return f"[{words}]({address})"
    return link[0] if address is None and path_of(target) is None else words


def _without_relations(text: str, resolve: Resolve) -> str:
    def shown(relation: re.Match[str]) -> str:
        address = resolve(relation["target"])
        if address is None and path_of(relation["target"]) is None:
            return relation[0]
        return f" ({address})" if address else ""

    return _RELATION.sub(shown, text)


def _resolved(
    name: str, identities: Mapping[str, str], by_identity: Mapping[str, str], rules: Rules, link: str
) -> str | None:
    if found := _ON_THE_WEB.match(link):
        return rules.address(found["id"]) if found["id"] in by_identity else None
    path = path_of(link)
    if path is None:
        return None
    identity = identities.get(relative(name, unquote(path)))
    if identity is None and (found := _identified(unquote(path))):  # in another part of the export
        identity = found["id"] if found["id"] in by_identity else None
    return rules.address(identity) if identity else None


def _identified(name: str) -> re.Match[str] | None:
    return _IDENTITY.match(PurePosixPath(name).stem)


def _is_page(name: str) -> bool:
    return PurePosixPath(name).suffix in _PAGES


def _is_overview(name: str) -> bool:
    """Return whether a file is the list of all pages that Notion puts beside pages in HTML."""
    return name == "index.html"


def _titles(name: str) -> str:
    """Return the path of a file by titles, without identities and without its ending."""
    *folders, _ = name.split("/")
    parts = [*(folder for folder in folders if not _WRAPPING.fullmatch(folder)), PurePosixPath(name).stem]
    found = [(_IDENTITY.match(part), part) for part in parts]
    return "/".join((match["title"].strip() or "Untitled") if match else part for match, part in found)
