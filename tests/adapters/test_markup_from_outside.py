"""Texts from outside never become markup: no mention, no link that hides where it leads, nothing unseen, on any platform.

What each client makes of a message is told by its own grammar, in tests/platforms.
"""

import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.adapters import screen
from bot.adapters.discord import rendering as discord
from bot.adapters.telegram import rendering as telegram
from bot.adapters.telegram.formatting import RichText
from bot.core.markup import Markup, Piece
from bot.core.messages import Answer, Citation, Outcome
from bot.core.text import UNSAFE
from bot.http.pages import as_page
from tests.platforms import discord_markup
from tests.platforms.markup_pieces import HOSTILE
from tests.platforms.telegram_markup import formatted

pytestmark = pytest.mark.fuzz
MARKUPS = st.sampled_from(Markup)
# What Discord's renderer puts into words on purpose, so that they act as nothing.
KEPT_APART = "\u200b"
# The channel that a heading of the bot names on purpose.
OURS = "7" * 18
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def answer(text: str, markup: Markup) -> Answer:
    """One that is quoted, whose source is named after the text and linked to it, or to where it seems not to lead."""
    url = text if text.startswith("http") else "https://elsewhere.example/a.md"
    citation = Citation(f"{text}.md", text, (text,), (1, 2), None, None, text, url, markup=markup)
    return Answer(Outcome.ANSWERED, text, "ref", citations=(citation,), pieces=(Piece(text, markup),))


@given(HOSTILE, MARKUPS)
@example("[bank.example `](https://evil.example)`", Markup.MARKDOWN)
@example("``x```[bank.example](https://evil.example)", Markup.MARKDOWN)
@example("[bank.example][(https://evil.example)](https://x.y)", Markup.MARKDOWN)
@example("|&#x202e;|b|\n|-|-|\n|c|d|", Markup.MARKDOWN)
def test_nothing_acts_or_hides_on_discord(text, markup):
    """Answers, quotes, questions above an answer, refusals, and texts of the bot that name a document or a person."""
    said = answer(text, markup)
    declined = Answer(Outcome.DECLINED, text, "ref")
    messages = [
        *discord.render(said, question=text).parts,
        *discord.render(declined).parts,
        discord.passages_of(said),
        discord.heading(text, OURS, ""),
        discord.refusal(text, sent_directly=False),
    ]
    for message in messages:
        shown = discord_markup.shown(message.replace(f"<#{OURS}>", ""))
        assert discord_markup.MENTIONED not in shown
        assert discord_markup.MASKED not in shown
        assert not UNSAFE.search(shown.replace(KEPT_APART, ""))


def seen_on_telegram(rich: RichText) -> None:
    assert not UNSAFE.search(rich.text)
    entities = [entity.to_dict() for entity in rich.entities]
    for entity in formatted(rich.text, None, entities).entities:
        assert entity["type"] not in ("text_mention", "custom_emoji")
        if entity["type"] == "text_link":
            assert re.match(r"https?://", entity["url"])
            host = re.match(r"https?://([^/?#\s]*)", entity["url"])[1]
            assert host.rpartition("@")[2].partition(":")[0] in rich.text


@given(HOSTILE, MARKUPS)
@example("[x](tg://user?id=1)", Markup.MARKDOWN)
@example("[bank.example](https://evil.example)", Markup.MARKDOWN)
@example("[https://bank.example](http://evil.example)", Markup.MARKDOWN)
@example("&#x202e;&#xe0041;", Markup.MARKDOWN)
@example("https://evil.example", Markup.PLAIN)
def test_nothing_acts_or_hides_on_telegram(text, markup):
    """Only web addresses are links, and each message with one shows its host."""
    said = answer(text, markup)
    for rich in (*telegram.parts_of(said, late=True), *telegram.passages_of(said)):
        if rich.text:
            seen_on_telegram(rich)


@given(HOSTILE, MARKUPS)
def test_nothing_drives_the_terminal(text, markup):
    """No sequence but our own styles, no clickable text."""
    console = screen.Screen(file=io.StringIO(), width=200, force_terminal=True)
    console.print(text, screen.shown([Piece(text, markup)]))
    shown = STYLES.sub("", console.file.getvalue())
    assert not UNSAFE.search(shown)


class Elements(HTMLParser):
    """The names and attributes of the elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attributes)))


def page_of(text: str) -> str:
    operation = {"summary": text, "parameters": [text], "responses": {text: text}}
    description = {
        "info": {"version": text, "description": text},
        "paths": {text: {"get": operation}},
        "components": {"schemas": {text: {"description": text}}},
    }
    return bytes(as_page(description, "http://127.0.0.1", needs_token=True).body).decode()


@given(HOSTILE)
def test_nothing_becomes_an_element_of_a_page(text):
    """The page has the same elements whatever it describes."""
    assert Elements(page_of(text)).found == Elements(page_of("x")).found


@pytest.mark.parametrize("unseen", ["\U000e0041", "\u2028", "\u202e", "\u2066", "\u200b", "\u3164", "\u115f", "\u034f"])
def test_invisible_characters_pass_nowhere(unseen):
    """Nor do those that Markdown spells by their number."""
    for text in (f"a{unseen}b", f"a&#x{ord(unseen):x};b"):
        said = answer(text, Markup.MARKDOWN)
        assert unseen not in "".join(part.text for part in telegram.parts_of(said, late=False))
        assert unseen not in discord_markup.shown(discord.render(said).parts[0])
