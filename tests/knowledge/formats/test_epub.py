"""Books: their chapters are read in order, without the list of contents."""

import io
import zipfile

from bot.knowledge.loaders import load
from tests.knowledge.document_writers import (
    parts_of,
    write_epub,
    zipped,
)
from tests.knowledge.formats.reading import (
    GUIDE,
    forms,
    refusal,
)


def test_a_book_is_read_chapter_by_chapter_without_its_contents():
    """The list of chapters only repeats their headings."""
    document = load("a.epub", write_epub("The book", parts_of(GUIDE)))
    assert document.title == "The book"
    assert "Contents of the book" not in str(document)
    assert [heading for _, heading in forms(document)][:2] == [("Bread guide",), ("Bread guide", "Dough")]


def test_an_encrypted_book_is_refused():
    """DRM; fonts that are only scrambled don't count."""
    with zipfile.ZipFile(io.BytesIO(write_epub("T", parts_of(GUIDE)))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    encryption = '<encryption xmlns:e="http://x"><e:EncryptionMethod Algorithm="{}"/></encryption>'
    locked = files | {"META-INF/encryption.xml": encryption.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}
    fonts = files | {"META-INF/encryption.xml": encryption.format("http://www.idpf.org/2008/embedding")}
    assert "(DRM)" in refusal("a.epub", zipped(locked))
    assert load("a.epub", zipped(fonts)).blocks
