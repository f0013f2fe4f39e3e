"""The kinds of exports, each with the function that finds the files that an export gives."""

from collections.abc import Callable, Mapping

from bot.knowledge.formats.exports import confluence, google, notion, telegram
from bot.knowledge.formats.exports.archives import Archives
from bot.knowledge.formats.exports.export import Export, Rules

KINDS: Mapping[str, Callable[[Archives, Rules], Export]] = {
    "notion": notion.read,
    "confluence": confluence.read,
    "google": google.read,
    "telegram": telegram.read,
}
