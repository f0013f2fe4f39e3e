"""Clean up a document's Markdown for a chat: no HTML tags, and only links that work outside the document."""

import re
from urllib.parse import urljoin

_PIECE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|^[ \t]*+(?P<fence>~{3,})[^\n]*+\n.*?^[ \t]*+(?P=fence))"
    r"|(?P<image>!\[(?P<alt>[^\[\]]*+)\]\([^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)*+\))"
    r"|(?P<link>\[(?P<words>(?:[^\[\]]|!\[[^\[\]]*+\]\([^()\n]*+\))*+)\]"
    r"\(\s*+<?(?P<target>[^()\s<>]*+(?:\([^()\s]*+\)[^()\s<>]*+)*+)>?[^()\n]*+\))"
    r"|(?P<comment><!--.*?-->)"
    r"|(?P<tag></?(?P<name>[A-Za-z][\w.-]*+)(?P<rest>(?:\s[^<>]*+)?/?)>)",
    re.DOTALL | re.MULTILINE,
)
_HTML = frozenset(
    """
    a abbr aside b big blockquote body br button caption center cite code col colgroup dd del details dfn div dl dt em
    figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i iframe img ins kbd li main mark nav ol p picture pre q s
    samp section small source span strike strong sub summary sup svg table tbody td tfoot th thead tr tt u ul var video
    """.split()
)
_BREAKS = ("br", "p", "div", "li", "tr", "hr")


def readable(text: str, base: str = "") -> str:
    """Return the text without HTML and JSX tags, with images as their alternative texts, and with absolute links.

    Relative links are resolved against `base`, the URL of the document; without it only their texts remain. Code and
    placeholders that look like tags, such as <name>, are unchanged.
    """

    def shown(piece: re.Match[str]) -> str:
        if piece["code"]:
            return piece[0]
        if piece["image"]:
            return piece["alt"]
        if piece["link"]:
            return _link(_PIECE.sub(shown, piece["words"]), piece["target"], base)
        if piece["comment"]:
            return ""
        return _tag(piece[0], piece["name"], piece["rest"], text)

    return re.sub(r"[ \t]+\n", "\n", _PIECE.sub(shown, text))


def _link(words: str, target: str, base: str) -> str:
    if re.match(r"(?:https?://|mailto:)", target, re.IGNORECASE):
        return f"[{words}]({target})"
    if base and target and not target.startswith("#") and not re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
        return f"[{words}]({urljoin(base, target)})"
    return words


def _tag(tag: str, name: str, rest: str, text: str) -> str:
    if name.lower() in _HTML:
        return "\n" if name.lower() in _BREAKS and not tag.startswith("</") else ""
    is_component = name[0].isupper() and ("=" in rest or rest.endswith("/") or f"</{name}>" in text)
    return "" if is_component else tag
