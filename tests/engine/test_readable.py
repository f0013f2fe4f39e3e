"""Markdown as a chat shows it: no raw tags, links that lead somewhere, and code as it stands."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.readable import readable

BASE = "https://example.org/docs/guide/a.md"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Press <kbd>Esc</kbd> <b>now</b>.", "Press Esc now."),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ('<a href="x.html">the page</a>', "the page"),
        ("a<!-- hidden\nnote -->b", "ab"),
        ('<Tabs group="os">On Linux</Tabs>', "On Linux"),
        ("<Badge/>New", "New"),
        ("![a picture](img/a.png)", "a picture"),
        ("[![build](b.svg)](https://ci.org)", "[build](https://ci.org)"),
    ],
)
def test_tags_and_images_are_shown_as_their_words(text, shown):
    """Those of HTML, and components of JSX."""
    assert readable(text) == shown


@pytest.mark.parametrize("text", ["run <name>", "List<String> of <T>", "a < b > c", "1 <2> 3", "<https://example.org>"])
def test_what_only_looks_like_a_tag_stays(text):
    """Placeholders, types and addresses."""
    assert readable(text) == text


@pytest.mark.parametrize(
    ("target", "with_base"),
    [
        ("b.md", "https://example.org/docs/guide/b.md"),
        ("../b.md#c", "https://example.org/docs/b.md#c"),
        ("/b", "https://example.org/b"),
        ("<b.md>", "https://example.org/docs/guide/b.md"),
        ('b.md "its title"', "https://example.org/docs/guide/b.md"),
    ],
)
def test_relative_links_are_resolved_or_reduced_to_their_words(target, with_base):
    """Where it isn't known what they are relative to, they lead nowhere."""
    assert readable(f"See [the page]({target}).", BASE) == f"See [the page]({with_base})."
    assert readable(f"See [the page]({target}).") == "See the page."


@pytest.mark.parametrize("target", ["https://x.org/a_(b)", "http://x.org", "mailto:a@x.org"])
def test_links_that_lead_somewhere_stay(target):
    """With and without a base."""
    assert readable(f"[x]({target})", BASE) == readable(f"[x]({target})") == f"[x]({target})"


@pytest.mark.parametrize("target", ["#part", "javascript:alert(1)", "file:///etc/passwd", ""])
def test_other_links_are_reduced_to_their_words(target):
    """A part of the same page is not there in a chat, and scripts are nobody's business."""
    assert readable(f"[x]({target})", BASE) == "x"


TAGGED = st.lists(
    st.sampled_from(["<br>", "<b>", "[a](b.md)", "![i](j.png)", "<!-- c -->", "x", " ", "1 < 2", "*y*"]), min_size=1
).map("".join)


@given(TAGGED, st.sampled_from(["`", "``"]), TAGGED, TAGGED)
def test_code_in_a_line_stays_as_it_is(before, ticks, code, after):
    """Whatever stands around it."""
    assert f"{ticks}{code}{ticks}" in readable(f"{before} {ticks}{code}{ticks} {after}")


@given(TAGGED, st.sampled_from(["```", "~~~", "~~~~"]), st.lists(TAGGED, min_size=1, max_size=4).map("\n".join), TAGGED)
def test_code_in_fences_stays_as_it_is(before, fence, code, after):
    """But for white space at the ends of lines, which nobody sees."""
    shown = readable(f"{before}\n\n{fence}html\n{code}\n{fence}\n\n{after}", BASE)
    assert "\n".join(line.rstrip() for line in code.split("\n")) in shown


@given(st.text(st.sampled_from("abc .,:*-_\n1#|é")))
def test_plain_text_stays(text):
    """Only what has brackets is changed, and white space at the ends of lines."""
    assert [line.rstrip() for line in readable(text, BASE).split("\n")] == [line.rstrip() for line in text.split("\n")]


@given(st.text(st.sampled_from("`[]()<>!-/ab.#:\n ")), st.sampled_from(["", BASE]))
def test_any_text_is_shown(text, base):
    """Never an error."""
    readable(text, base)


@pytest.mark.parametrize("piece", ["`", "~~~\n", "[", "![", "](", "<", "<!--", "<a ", "[a](", "(", "[![a](b)"])
def test_hostile_text_costs_no_more_time_than_any(piece):
    """A document may hold anything."""
    started = time.process_time()
    readable(piece * 5_000, BASE)
    assert time.process_time() - started < 5
