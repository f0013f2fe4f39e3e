"""The loader for EPUB. Its chapters are HTML, read in order; the table of contents is left out."""

import lzma
import posixpath
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator

from lxml import etree

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.html.loader import parsed, write_blocks
from bot.knowledge.formats.outline import Outline

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HTML = ("application/xhtml+xml", "text/html")
# What unpacking raises, each method of compression its own.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
    RuntimeError,
)
_OBFUSCATED_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def load(path: str, content: bytes) -> Document:
    archive = open_archive(content, "EPUB")
    if _is_encrypted(archive):
        raise DocumentError(
            "its publisher has encrypted it (DRM), so that only certain readers can open it; use a free copy"
        )
    package_path = _package_path(archive)
    package = _xml(archive, package_path)
    outline = Outline(numbered=True)
    for name in _chapters(package, posixpath.dirname(package_path)):
        try:
            text, _ = decode(_read(archive, name))
            write_blocks(_body(text), outline, with_lines=False)
        except DocumentError as error:
            outline.warnings.append(f"{name}: {error}")
    title, language = (
        next(iter(package.xpath(f"//*[local-name()='{name}']/text()")), "") for name in ("title", "language")
    )
    return outline.document(path, str(title).strip(), language=str(language).strip())


def _body(text: str) -> etree._Element:
    root = parsed(text)
    return next(iter(root.iter("body")), root)


def _package_path(archive: zipfile.ZipFile) -> str:
    found = _xml(archive, _CONTAINER).xpath("//*[local-name()='rootfile']/@full-path")
    if not found:
        raise DocumentError("this is no EPUB file, or it is damaged; save it again as EPUB")
    return str(found[0])


def _chapters(package: etree._Element, folder: str) -> Iterator[str]:
    """Yield the names of the chapters' files, in reading order."""
    items = {item.get("id"): item for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")}
    for reference in package.xpath("//*[local-name()='spine']/*[local-name()='itemref']"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _HTML or "nav" in (item.get("properties") or "").split():
            continue
        yield posixpath.normpath(posixpath.join(folder, urllib.parse.unquote(item.get("href") or "")))


def _is_encrypted(archive: zipfile.ZipFile) -> bool:
    if _ENCRYPTION not in archive.namelist():
        return False
    methods = _xml(archive, _ENCRYPTION).xpath("//*[local-name()='EncryptionMethod']/@Algorithm")
    return any(method not in _OBFUSCATED_FONTS for method in methods)


def _xml(archive: zipfile.ZipFile, name: str) -> etree._Element:
    """Parse an XML file of the archive, without resolving entities or fetching anything."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(_read(archive, name), parser)
    except (etree.LxmlError, ValueError) as error:
        raise DocumentError(f"{name} in it is damaged; save it again as EPUB") from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError as error:
        raise DocumentError(f"{name} is missing in it; save it again as EPUB") from error
    except _BROKEN as error:
        raise DocumentError(f"{name} in it is damaged; save it again as EPUB") from error
