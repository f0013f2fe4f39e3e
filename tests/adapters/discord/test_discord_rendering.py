"""Rendering for Discord: the text of a document is shown as text and does nothing else."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.discord import rendering
from bot.adapters.discord.rendering import LONGEST_MESSAGE, escaped, harmless, passages_of, render
from bot.adapters.layout import utf16_length
from bot.core.messages import Answer, Citation, Outcome

CITATION = Citation("a.md", "Guide", ("Water",), (1, 2), None, None, "quote", None)


TABLE = "```\na_b  c\n---  ---------------------\nx|y  z (https://x.example)\n```"


def answer(text: str, outcome: Outcome = Outcome.ANSWERED, url: str | None = None) -> Answer:
    citation = Citation("a.md", "Guide", (), (1, 2), None, None, "quote", url)
    return Answer(outcome, text, "ref", citations=(citation,) if outcome is Outcome.ANSWERED else ())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Use **soft** water and *wait*.", "Use **soft** water and *wait*."),
        ("- one\n- `two`", "- one\n- `two`"),
        ("# Title\n> quoted", "# Title\n> quoted"),
        ("hi @everyone and @here", "hi @\u200beveryone and @\u200bhere"),
        ("<@1> <@&1> <#1> <t:1> </ask:1>", "\\<@1> \\<@&1> \\<#1> \\<t:1> \\</ask:1>"),
        ("\\\\<@1>", "\\<@1>"),
        ("[your bank](https://evil.example)", "your bank (<https://evil.example>)"),
        ("[https://bank.example](https://evil.example)", "<https://bank.example> (<https://evil.example>)"),
        ("[other page](other.md#x)", "other page"),
        ("[run](javascript:alert)", "run"),
        ("![logo](https://x.example/l.png)", "logo (<https://x.example/l.png>)"),
        ("see https://x.example/a_(b), ok", "see <https://x.example/a_(b)>, ok"),
        ("[a](b](https://evil.example)", "\\[a](b](<https://evil.example>)"),
        ("-# a source of my own", "\\-# a source of my own"),
        (">>> all of it", "\\>>> all of it"),
        ("one ` tick", "one \\` tick"),
        ("\\\\` [x](https://evil.example) `", "\\` x (<https://evil.example>) \\`"),
        ("ev\u200beryone \u202egpj", "everyone gpj"),
        ("~~~sh\nls\n~~~", "```sh\nls\n```"),
        ("````\na ``` b\n````", "```\na `\u200b`` b\n```"),
        ("```\n[x](https://kept.example) @everyone\n```", "```\n[x](https://kept.example) @everyone\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("| a | bb |\n|---|:-:|\n| ccc | d |", "```\na    bb\n---  --\nccc  d\n```"),
        ("| `a_b` | **c** |\n|---|---|\n| x\\|y | [z](https://x.example) |", TABLE),
        (
            "A line that\nis wrapped.\n\n- an item\n  goes on\n- next",
            "A line that is wrapped.\n\n- an item goes on\n- next",
        ),
        ("> quoted and\n> wrapped", "> quoted and wrapped"),
        ("1 Main Street  \nTown\\\nCountry", "1 Main Street\nTown\nCountry"),
        ("| a row | without |\n| its | header |", "| a row | without |\n| its | header |"),
    ],
)
def test_markdown_is_kept_and_what_acts_is_shown(text, shown):
    """Mentions, masked links, previews, false small print, endless quotes, unclosed code."""
    assert harmless(text) == shown


def outside_code(text: str) -> str:
    """The parts of a message that Discord reads as Markdown, by its own rules, with a sign where code was between them."""
    text = re.sub(r"```.*?```", "▮", text, flags=re.DOTALL)
    return re.sub(r"(?<!\\)(`+)(?!`).+?(?<!`)\1(?!`)", "▮", text, flags=re.DOTALL)


@pytest.mark.parametrize("columns", [40, 41])
def test_a_table_that_is_wider_than_a_phone_is_told_row_by_row(columns):
    """Each cell behind the name of its column, with its Markdown; what is empty is left out."""
    cell = "字" * 5 + "x" * (columns - 15)
    shown = harmless(f"Limits:\n\n| # a | m_e |\n|---|---|\n| **one** | {cell} |\n| two | |\n\nEnd.")
    if columns == 40:
        assert f"one  {cell}\n" in shown
        assert shown.count("```") == 2
    else:
        assert f"\\# a: **one**\nm\\_e: {cell}\n\n\\# a: two\n" in shown
        assert "```" not in shown


@given(
    st.text(alphabet="ab`~\\[]()<>@&#1!*_|-\n :/.", max_size=60),
    st.sampled_from(["", "https://e.example", "@everyone"]),
)
def test_nothing_of_a_document_can_act(text, bait):
    """Any text gives no mention, no masked link, no way out of code."""
    shown = harmless(f"{text}{bait}[x](https://evil.example) <@&1>{text}")
    seen = outside_code(shown)
    assert not re.search(r"(?<!\\)(?:\\\\)*<[@#t:/a]", seen)
    assert not re.search(r"(?<!\\)(?:\\\\)*\[[^\[]*\]\(", seen)
    assert "@everyone" not in seen
    assert shown.count("```") % 2 == 0


def test_a_source_is_small_print_with_an_address_that_shows_no_preview():
    """Only an address becomes a link."""
    linked = render(answer("Text.", url="https://x.example/a.md"))
    assert linked.parts == ("Text.\n-# Guide \\(a.md, lines 1-2\\) · <https://x.example/a.md>",)
    for url in ("javascript:x", "https://x.example/<@1>", "https://x y"):
        assert render(answer("Text.", url=url)).parts == ("Text.\n-# Guide \\(a.md, lines 1-2\\)",)


def test_names_in_sources_and_refusals_are_no_markdown():
    """Titles come from files of anyone."""
    citation = Citation("a_b.md", "**@everyone**", ("[x](https://evil.example)",), None, None, None, "q", None)
    [part] = render(Answer(Outcome.ANSWERED, "Text.", "ref", citations=(citation,))).parts
    assert part.endswith("\\*\\*\\@\u200beveryone\\*\\* › \\[x\\]\\(https\\://evil.example\\) \\(a\\_b.md\\)")
    [declined] = render(answer("The nearest: “[x](https://evil.example)”", Outcome.DECLINED)).parts
    assert declined == "🔍 The nearest\\: “\\[x\\]\\(https\\://evil.example\\)”"


@pytest.mark.parametrize("unit", ["a", "漢", "😀", "e\u0301"])
@pytest.mark.parametrize("length", [1999, 2000, 2001])
def test_no_message_is_too_long(unit, length):
    """Counted as Discord counts, with sources and the mark of a repeated part."""
    rendered = render(answer(unit * (length // utf16_length(unit))))
    assert all(utf16_length(part) <= LONGEST_MESSAGE for part in rendered.parts)
    assert "".join(rendered.parts).count(unit) >= length // utf16_length(unit)


def test_an_answer_beyond_the_limit_is_a_beginning_and_a_file(monkeypatch):
    """The whole text is in the file."""
    text = "\n\n".join(f"{n} " + "word " * 300 for n in range(20))
    rendered = render(answer(text))
    assert len(rendered.parts) == 1
    assert utf16_length(rendered.parts[0]) <= LONGEST_MESSAGE
    assert "in the file" in rendered.parts[0]
    assert rendered.file == text
    monkeypatch.setattr(rendering, "_MOST_PARTS", 20)
    assert len(render(answer(text)).parts) > 10


def test_the_question_above_an_answer_is_one_short_line():
    """It can't break out of its quote."""
    [part] = render(answer("Text."), question="one\n\ntwo `x`\n>>> " + "y" * 500).parts
    quote, text, _source = part.split("\n")
    assert quote.startswith("> one two \\`x\\` \\>\\>\\> yyy")
    assert len(quote) < 260
    assert text == "Text."


def test_a_passage_stays_in_its_quote():
    """Each line of it, with what it is from below."""
    citation = Citation("a.md", "A", (), None, None, None, "one\n\n>>> two\n\n-# three", None)
    assert (
        passages_of(replace(answer("Text."), citations=(citation,)))
        == "> one\n> \n> \\>>> two\n> \n> \\-# three\n-# A \\(a.md\\)"
    )


@given(st.text(max_size=80))
def test_escaped_text_is_text(text):
    """Without any unescaped mark."""
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|<>\[\]()#]", escaped(text))


@pytest.mark.parametrize("paragraphs", [1, 10, 60], ids=["short", "in messages", "in a file"])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_all_sources_arrive_however_many_and_long_they_are(count, paragraphs):
    """Below the answer where there is room, and else in messages of their own; none is cut."""
    addresses = [f"https://handbook.example/{'folder/' * 30}{number}.md" for number in range(count)]
    citations = [replace(CITATION, title="A *long* title " * 15, url=address) for address in addresses]
    said = replace(answer("\n\n".join("word " * 50 for _ in range(paragraphs))), citations=tuple(citations))
    rendered = render(said)
    room = LONGEST_MESSAGE - utf16_length(rendering.marked_as_repeated(""))
    texts = (*rendered.parts, rendered.without_file or "", rendered.file_elsewhere or "")
    assert all(utf16_length(text) <= room for text in texts)
    assert [address for address in addresses if f"<{address}>" not in "\n".join(rendered.parts)] == []
