"""Opening of the ZIP archives that DOCX, PPTX, XLSX and EPUB files are, with a check of their unpacked size."""

import io
import zipfile

from bot.core.errors import DocumentError
from bot.core.text import counted

_LARGEST = 400 * 2**20  # bytes, unpacked
_MOST_FILES = 20_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def open_archive(content: bytes, kind: str) -> zipfile.ZipFile:
    """Open an archive. Raises DocumentError if it is damaged, protected, or would unpack to an unusual size."""
    if content.startswith(_OLE):
        raise DocumentError(
            f"it is protected by a password or has an older format; save it again as {kind} without a password"
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, OverflowError) as error:
        raise DocumentError(f"this is no {kind} file, or it is damaged; save it again as {kind}") from error
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _LARGEST or len(entries) > _MOST_FILES:
        raise DocumentError(
            f"it would unpack to {unpacked // 2**20} megabytes in {counted(len(entries), 'file')}, which no document does; "
            "check where it comes from"
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise DocumentError("it is protected by a password; save it without one")
    return archive
