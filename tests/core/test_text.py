"""Sentences, words and Markdown without its markup: the results, and that no text takes long."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.text import (
    STOP_WORDS,
    content_words,
    counted,
    line_spans,
    list_items,
    plain,
    sentences,
    share_of_words,
    stem,
    stems,
    stripped,
    words,
)


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


# --- sentences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected",
    [
        ["It rains.", "Take a coat!", "Where is it?", "Here"],
        ["What?!", "No...", "Well…", "Yes."],
        ["Dr. Smith met Mrs. Jones, Ph.D., at 5 p.m. Eastern time.", "They left."],
        ["Use a cable, e.g. USB-C, or none.", "Then wait."],
        ["See Fig. 3 and Sec. 4.2, i.e. the appendix.", "It helps."],
        ["J. R. R. Tolkien and J.R.R. Tolkien are one.", "So it is."],
        ["The U.S. Army and the U.K. Navy came.", "Others went."],
        ["It costs 3.50 euros.", "Version 2.0.1 is out.", "Python 3.", "It runs."],
        ["See https://example.org/a.b?c=d.e for more.", "Or ask me@example.org."],
        ["Open bot.toml.", "Read README.md."],
        ['He said "Stop."', "Then he left.", '("So?")', "Yes."],
        ["He asked “Why?” and left.", "She stayed."],
        ["It waits... then it goes on.", "Wait...", "Then go on."],
        ["**Note.**", "Then *go.*", "`Run.`", "_Stop._", "**Never** do it.", "End"],
        ["[Read this.](a.md) Then go."],  # the link goes on behind the full stop
        ["word .", "Next word !", "And so on"],
        ["第一句。", "第二句！", "「第三句？」", "完"],
        ["Das ist z. B. älter, ca. Faktor 2.", "Über uns."],
        ["Это т. е. слово.", "Дальше."],
        ["1. Turn it off.", "2. Turn it on.", "3) Wait."],
        ["It was founded in 1990.", "Later it grew."],
        ["It opened in May.[3]", "Then it grew![12][b]", "See [4]."],
    ],
)
def test_a_text_is_cut_into_its_sentences(expected):
    """Full stops of abbreviations, numbers, addresses and item numbers end nothing."""
    assert cut(" ".join(expected).replace("。 ", "。").replace("！ ", "！")) == expected


def test_a_blank_line_ends_a_sentence_and_a_line_break_does_not():
    """Headings and paragraphs often end without a full stop."""
    assert cut("A title\n \t\nA line\nand its end\n\n\n\nLast") == ["A title", "A line\nand its end", "Last"]


@pytest.mark.parametrize("text", ["", " ", "\n\n \n", "\t"])
def test_a_text_of_nothing_has_no_sentences(text):
    """White space alone is no sentence."""
    assert sentences(text) == []


@given(st.text(alphabet=st.sampled_from("aB1 .!?…\n\"'”)*_`[(。！」é\t")))
def test_sentences_keep_every_word_in_order(text):
    """The spans ascend, don't overlap, begin and end with a letter or mark, and leave out white space only."""
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    assert "".join("".join(cut(text)).split()) == "".join(text.split())


@given(st.text(alphabet=" \n\tab"), st.data())
def test_a_stripped_span_stays_within_and_has_no_white_space_at_its_ends(text, data):
    """It marks the same text as `str.strip`."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = stripped(text, (start, end))
    assert start <= first <= last <= end
    assert text[first:last] == text[start:end].strip()


# --- Markdown without its markup --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("see [the guide](guide.md) now", "see the guide now"),
        ('a [link](x "with (a) title") b', "a link b"),
        ("[wrapped\nlink](https://example.org/a_(b))", "wrapped\nlink"),
        ("![a diagram](a.png) [![build](b.svg)](https://ci.org)", "a diagram build"),
        ("[text][ref] and ![image][ref] and [text][]", "text and image and text"),
        ("<https://example.org/x_y> or <me@example.org>", "https://example.org/x_y or me@example.org"),
        ("*a* **b** ***c*** ~~d~~ _e_ __f__ `g` ``h ` i``", "a b c d e f g h ` i"),
        ("**bold *and italic* text** and *italic **and bold** text*", "bold and italic text and italic and bold text"),
        ("这是**重要**的", "这是重要的"),
        ("**~5 minutes**", "~5 minutes"),
        ("**wrapped\nover lines**", "wrapped\nover lines"),
        ("a <b class='x'>bold</b><br/>word", "a boldword"),
        ("`git clone <url>` and `Map<K, V>`", "git clone <url> and Map<K, V>"),
        ("x < 3 and y > 4, a <- b", "x < 3 and y > 4, a <- b"),
        ("before <!-- a\ncomment --> after", "before after"),
        (r"1\. 5\-6 \*not bold\* \_x\_ \[no\](link)", "1. 5-6 *not bold* _x_ [no](link)"),
        ("- one\n* two\n  + three\n10) four\n• five", "one\ntwo\nthree\nfour\nfive"),
        ("> quoted\n> > twice", "quoted\ntwice"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b\n1 2"),
        ("a | b\n--|:-\n1 | 2\n\n|-|-|\n", "a b\n1 2"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("~~~~\ncode\n~~~~", "code"),
        ("```inline``` code", "inline code"),
        ("  much   space \n\n\n and lines\t", "much space\nand lines"),
        ("", ""),
    ],
)
def test_markup_is_taken_away(markdown, expected):
    """The text of the rendered page is left."""
    assert plain(markdown) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 = 24 and 2 * 3",
        "snake_case_name and _private and a__b__c",
        "*.md and *.txt",
        "def f(*args, **kwargs)",
        "rows[i][j] of the matrix",
        "it costs ~5 or ~6 euros",
        "[x] done [ ] open",
        "[1] a footnote (2)",
        "a -- b and c - d",
        "C:\\folder",
        "5 > 3",
        "don't, can’t",
        "12.5 % of 1,000",
        "a#b @c $d",
    ],
)
def test_what_only_looks_like_markup_stays(text):
    """Names, sums and patterns are what people search for."""
    assert plain(text) == text


@given(st.text(alphabet=st.sampled_from("ab1 \n*_`~[]()<>!-|\\#.>{}")))
def test_plain_text_invents_nothing(markdown):
    """Its letters are letters of the text, in the same order."""
    left = iter(markdown)
    assert all(letter in left for letter in plain(markdown) if letter.isalnum())


# Each of these makes a careless pattern look for its end from every place.
HOSTILE = [
    *("[", "![", "](", "[](", "[a](b", "[a][", "*", "*a ", "**a *b ", "_", "_a ", "~~", "~~a ", "`", "`a ``b ```c "),
    *("<", "<a ", "</", "<!--", "<!-- ->", "|", "\t|", "|-", "- ", ">", "> - ", "\\", "\\[", "#", "---\n", "```\n"),
    *(" ", "\t", "\n", " \n", ". ", ".", '!"', "... a", "。", "a.", "a.b.", "A. ", "1. ", "(", "''", "a'", "¶", "\x0c"),
]


@pytest.mark.slow
@pytest.mark.parametrize("function", [plain, sentences, words, list_items])
def test_hostile_text_takes_no_longer_than_any_other(function):
    """50,000 characters of anything are done at once: no pattern backtracks over all of the text."""
    for piece in HOSTILE:
        for text in (piece * (50_000 // len(piece)), f"a{piece * (50_000 // len(piece))}a"):
            started = time.thread_time()
            function(text)
            assert time.thread_time() - started < 0.5, f"{function.__name__} of {piece!r}, many times"


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_are_lower_case_and_hold_together():
    """Apostrophes, hyphens and full stops within a word belong to it; those around it don't."""
    assert words("Don’t use the Wi-Fi at 3.5 GHz (v2.0). 'Ok'! naïve_name") == [
        *("don't", "use", "the", "wi-fi", "at", "3.5", "ghz", "v2.0", "ok", "naïve_name")
    ]
    assert words(" ,.! ") == []


def test_content_words_leave_out_stop_words_unless_nothing_is_left():
    """A question of nothing but stop words must still be searchable."""
    assert content_words("How do I install the bot?") == ["install", "bot"]
    assert content_words("who are you") == ["who", "are", "you"]
    assert {"the", "don't"} <= STOP_WORDS


@pytest.mark.parametrize(
    "forms",
    [
        ("install", "installs", "installed", "installing"),
        ("box", "boxes"),
        ("study", "studies"),
        ("make", "makes", "making"),
        ("process", "processes"),
        ("class", "classes"),
        ("quick", "quickly"),
    ],
)
def test_forms_of_a_word_share_a_stem(forms):
    """So that a question meets a text that puts it in another tense or number."""
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["is", "as", "bus", "red", "sing", "fly", "ss", "a", ""])
def test_short_words_are_not_cut_away(word):
    """A stem has three letters, or is the word."""
    assert stem(word) == word


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1.0, "1 file"), (2.5, "2.5 files")]
)
def test_a_counted_noun_has_the_form_of_its_number(number, expected):
    """One is singular; no plural but the regular one is guessed."""
    assert counted(number, "file") == expected
    assert counted(number, "child", "children").endswith("child" if number == 1 else "children")


def test_large_numbers_are_counted_in_full():
    """In digits, which an exponent would hide."""
    assert counted(12_345_678, "passage") == "12345678 passages"


def test_the_share_of_words_counts_the_wanted_ones():
    """Order, form and repetition don't count; nothing wanted means nothing shared."""
    assert stems("Installing the bots") == stems("the bot installs, the bot installed")
    assert share_of_words(stems("install bot"), stems("he installed it")) == 0.5
    assert share_of_words(frozenset(), stems("text")) == 0


# --- lines and items --------------------------------------------------------------------------------------------------


def parts(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def test_blank_lines_belong_to_the_line_before_them():
    """Joined with line feeds, the spans are the text again."""
    text = "a\n\n \nb\nc\n"
    assert parts(text, line_spans(text)) == ["a\n\n ", "b", "c\n"]


@given(st.text(alphabet="a- 1.\n\t"))
def test_spans_of_lines_and_items_lose_nothing(text):
    """Joined with line feeds, they are the text."""
    assert "\n".join(parts(text, line_spans(text))) == text
    assert "\n".join(parts(text, list_items(text))) == text


@pytest.mark.parametrize(
    "items",
    [
        ["- one", "- two\n  goes on", "- three\n  - nested\n    - deeper", "- four"],
        ["- loose\n", "- items\n\n  with a second paragraph\n", "- end"],
        ["- a lazy line\ngoes on at the margin", "- next"],
        ["  - indented", "  - together", "- and one less"],
        ["1. one\n   - nested", "2. two\n   ```\n   code\n   ```", "10. ten"],
        ["1) one", "2) two"],
        ["* *starred*", "* **bold** item"],
        ["-", "- not empty"],
        ["- one\n-not an item, for there is no space", "- two"],
        ["- one\n2024 was a year", "- two"],
        ["• a", "• b"],
    ],
)
def test_a_list_is_taken_apart_into_its_top_level_items(items):
    """Lines that are indented deeper, or have no marker, belong to the item before them."""
    text = "\n".join(items)
    assert parts(text, list_items(text)) == items


@pytest.mark.parametrize(
    ("count", "plural", "expected"),
    [
        (0, "", "0 passages"),
        (1, "", "1 passage"),
        (1234567, "", "1234567 passages"),
        (1.0, "", "1 passage"),
        (0.5, "", "0.5 passages"),
        (2, "pieces of it", "2 pieces of it"),
    ],
)
def test_a_number_takes_the_singular_only_where_it_is_one(count, plural, expected):
    """Also of a number with a fraction, and of nouns that take more than an s."""
    assert counted(count, "passage", plural) == expected
