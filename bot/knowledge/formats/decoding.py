"""Decoding of text files: finds their encoding, and ends lines with a line feed."""

import codecs
import re

from charset_normalizer import from_bytes

from bot.core.errors import DocumentError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The common encodings of texts: a short text fits too many of all those that Python knows.
_ENCODINGS = """
    cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859_2 koi8_r mac_roman
    cp932 euc_jp gb18030 big5 euc_kr
""".split()
_SAMPLE = 200_000  # bytes that the encoding is guessed from
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def decode(content: bytes, declared: str | None = None) -> tuple[str, list[str]]:
    """Return the text, and warnings about its encoding. `declared` is the encoding that the file itself names.

    UTF-8 is tried first, then a byte order mark, then the declared encoding, then a guess from the bytes. A form feed
    or another odd separator does not end a line. Raises DocumentError if it is no text.
    """
    text, warnings = _decoded(content, declared)
    if "\0" in text:
        raise DocumentError("this is a binary file, not text; convert it to a format that is read")
    return text.replace("\r\n", "\n").replace("\r", "\n"), warnings


def _decoded(content: bytes, declared: str | None) -> tuple[str, list[str]]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding), []
            except UnicodeDecodeError as error:
                raise DocumentError(
                    f"begins like {encoding.removesuffix('-sig').upper()} but isn't ({_place(error)}); "
                    "save it with UTF-8 encoding"
                ) from error
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        problem = error
    broken = len(re.findall(rb"[\x80-\xff]", _MULTIBYTE.sub(b"", content)))
    if broken * 10 < len(_MULTIBYTE.findall(content)):
        return content.decode("utf-8", "replace"), [
            f"{broken} bytes are not UTF-8, the first of them {_place(problem)}; they are shown as �"
            if broken > 1
            else f"1 byte is not UTF-8 ({_place(problem)}); it is shown as �"
        ]
    if declared:
        try:
            return content.decode(declared), []
        except (LookupError, UnicodeDecodeError):
            pass
    if guessed := _guessed(content):
        try:
            return content.decode(guessed), [f"not UTF-8 but probably {guessed}, and read as that"]
        except UnicodeDecodeError:
            pass
    raise DocumentError(f"not UTF-8 text ({_place(problem)}); save it with UTF-8 encoding") from problem


def _guessed(content: bytes) -> str | None:
    """Return the likeliest encoding; of equally likely ones, that of Western Europe."""
    if len(_NOT_TEXT.findall(content[:_SAMPLE])) > len(content[:_SAMPLE]) // 100:
        return None
    matches = from_bytes(content[:_SAMPLE], cp_isolation=_ENCODINGS)
    best = matches.best()
    if best is None:
        return None
    for match in matches:
        names = {match.encoding, *match.could_be_from_charset}
        if "cp1252" in names and (match.chaos, -match.coherence) <= (best.chaos, -best.coherence):
            return "cp1252"
    return best.encoding


def _place(error: UnicodeDecodeError) -> str:
    return f"byte {error.start + 1}"


def well_formed(text: str) -> str:
    """Return the text with surrogate pairs, as `\\ud83d` and the like make them, joined, and single surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
