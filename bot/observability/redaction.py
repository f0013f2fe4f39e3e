"""Masks secrets in log lines: those of the settings, and every word that has the form of a secret.

It works on the finished line, and so covers messages, keys, nested values, exceptions with their causes, and URLs, also those
that libraries log.
"""

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, quote_plus

import structlog

MASK = "[redacted]"
# A shorter secret would mask parts of other words.
_SHORTEST = 4
# Before a word: no part of it, or the colour code of a console.
_BEGINS = r"(?: (?<![\w\-\[]) | (?<=\x1b\[\d\dm) )"
# Words that have the form of a secret.
_TOKEN = re.compile(
    rf"""
      (?<!\d)\d{{5,}}(?: : | %3A)[\w-]{{25,}}                        # Telegram: number, colon, the secret part
    | {_BEGINS} [\w-]{{20,40}}\.[\w-]{{5,9}}\.[\w-]{{25,}}           # Discord: three parts
    | {_BEGINS} eyJ[\w-]{{10,}}\.[\w-]{{10,}}\.[\w-]*               # JSON web token
    | {_BEGINS} (?:sk|pk|rk|hf|gsk|xai|ghp|gho|github_pat|glpat|xox[a-z])[-_][\w-]{{12,}}  # OpenAI, Hugging Face and others
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Words that are secrets because of the text before them.
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
        """`secrets` are masked in all their written forms."""
        written = {form for secret in secrets if len(secret) >= _SHORTEST for form in _ways_of_writing(secret)}
        ordered = sorted(written, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, _logger: structlog.typing.WrappedLogger, _method: str, line: Any) -> str:
        """Mask the line that the renderer, the processor before this one, returned."""
        return self.redacted(str(line))

    def redacted(self, text: str) -> str:
        """Return the text with its secrets masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _AFTER.sub(rf"\1{MASK}", _TOKEN.sub(MASK, text))


def _ways_of_writing(secret: str) -> set[str]:
    """Return the secret unchanged and as it is written in JSON, in Python and in URLs."""
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
