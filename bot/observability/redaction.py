"""Takes secrets out of log lines: those of the settings wherever they stand, and whatever has the form of one.

Works on the finished line, so that it makes no difference where a secret came in: as a message, a key, a value however deeply
nested, an exception and its causes, a URL, and from whichever library.
"""

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, quote_plus

import structlog

MASK = "[redacted]"
# A shorter secret would mask parts of other words, and hides nothing.
_SHORTEST = 4
# Before a word: nothing that belongs to it, or the colour that a console shows it in.
_BEGINS = r"(?: (?<![\w\-\[]) | (?<=\x1b\[\d\dm) )"
# What has the form of a secret by itself.
_TOKEN = re.compile(
    rf"""
      (?<!\d)\d{{5,}}(?: : | %3A)[\w-]{{25,}}                        # Telegram: number, colon, the secret part
    | {_BEGINS} [\w-]{{20,40}}\.[\w-]{{5,9}}\.[\w-]{{25,}}           # Discord: three parts
    | {_BEGINS} eyJ[\w-]{{10,}}\.[\w-]{{10,}}\.[\w-]*               # JSON web token
    | {_BEGINS} (?:sk|pk|rk|hf|gsk|xai|ghp|gho|github_pat|glpat|xox[a-z])[-_][\w-]{{12,}}  # OpenAI, Hugging Face and others
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What is a secret because of what stands before it.
_AFTER = re.compile(
    r"""
    ( \b(?:bearer|basic)[ ]+(?=[\w+/=.~-]{16})                                # authorisation
    | /(?:webhooks|interactions)/\d+/                                         # addresses of Discord, of Telegram
    | /bot(?=[\w:.%-]{20,})
    | ://[^\s/@:"']*:(?=[^\s/@"']+@)                                          # the password in an address
    | [?&;](?:key|auth|sig|signature)=                                        # and what else is a key there
    | \b[\w.-]{0,40}(?:token|secret|password|passwd|api[_-]?key|authorization)
      (?: = | \\?["']:[ ]?b?\\?["'] )                                         # as parameter, and in mappings
      (?!(?:bearer|basic)\b)
    | \b[\w.-]{0,40}(?:secret-token|api-key|authorization):[ ]?
      (?!(?:bearer|basic)\b)(?=[^\s,]*\d)                                     # as header; words alone are none
    )
    (?!\[redacted\])[^\s"'&@/\\,;]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Redaction:
    """A structlog processor for the end of a chain: finished line in, line without secrets out."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """`secrets`: what must not be seen in any way of writing it."""
        written = {form for secret in secrets if len(secret) >= _SHORTEST for form in _ways_of_writing(secret)}
        ordered = sorted(written, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, _logger: structlog.typing.WrappedLogger, _method: str, line: Any) -> str:
        """`line` is what the renderer before this one has made."""
        return self.redacted(str(line))

    def redacted(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _AFTER.sub(rf"\1{MASK}", _TOKEN.sub(MASK, text))


def _ways_of_writing(secret: str) -> set[str]:
    """As it is, in JSON, in Python, and in addresses."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    }
