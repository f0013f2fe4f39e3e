"""The front matter of Markdown: what it says is taken as it stands, and a broken one costs nothing else."""

import pytest

from tests.knowledge.formats.reading import markdown, only, texts


def test_front_matter_names_title_address_and_language():
    """The first heading is then a heading like any other, and lines are counted from the file's beginning."""
    document = markdown(
        *("---", "title: 'A: guide'", "url: https://x.org/a", "language: de", "tags: [a, b]", "---", "# Other", "text")
    )
    assert (document.title, document.url, document.language) == ("A: guide", "https://x.org/a", "de")
    assert (only(document).text, only(document).locator.lines) == ("text", (8, 8))
    assert only(document).heading == ("Other",)
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("title: 1.10", "1.10"),
        ("title: 2024-02-30", "2024-02-30"),
        ("title: yes", "yes"),
        ('title: "\\ud83d\\ude00 smile"', "😀 smile"),
        ('title: "lone \\ud83d"', "lone \ufffd"),
        ("title:", "Guide"),
        ("title: ''", "Guide"),
        ("date: 2024-13-45", "Guide"),
        ("# only a comment", "Guide"),
        ("", "Guide"),
    ],
)
def test_values_of_front_matter_are_the_text_that_stands_there(written, title):
    """No number, date or truth value is made of them, and none of them can be wrong."""
    document = markdown("---", written, "---", "text")
    assert (document.title, texts(document), document.warnings) == (title, ["text"], ())
    document.title.encode()


@pytest.mark.parametrize("broken", ["title: a: b", "title: [a", "\ttitle: a", "{{ template }}: }", "[" * 5000])
def test_broken_front_matter_is_passed_over_with_a_warning(broken):
    """The text is read all the same, at the right lines."""
    document = markdown("---", broken, "---", "", "text")
    assert document.warnings == ("the front matter is not valid YAML and was passed over",)
    assert (document.title, only(document).text, only(document).locator.lines) == ("Guide", "text", (5, 5))


def test_a_value_that_is_no_text_is_passed_over_with_a_warning():
    """The other keys count; an alias that grows to millions of texts costs nothing."""
    bomb = [
        "a: &a [x, x]",
        *(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    ]
    document = markdown("---", *bomb, "title: *j", "language: en", "---", "text")
    assert document.warnings == ("`title` in the front matter is not a text and was passed over",)
    assert (document.title, document.language) == ("Guide", "en")


def test_front_matter_may_be_toml():
    """As Hugo and Zola write it; what we don't know may have any form."""
    document = markdown(
        *("+++", 'title = "Zoo: guide"', 'url = "https://zoo.example/guide"', "date = 2031-05-02", "weight = 30"),
        *("[extra]", 'tags = ["a"]', "+++", "text"),
    )
    assert (document.title, document.url, document.warnings) == ("Zoo: guide", "https://zoo.example/guide", ())
    assert (only(document).text, only(document).locator.lines) == ("text", (9, 9))
    broken = markdown("+++", "title = Zoo", "+++", "text")
    assert broken.warnings == ("the front matter is not valid TOML and was passed over",)
    assert texts(broken) == ["text"]


@pytest.mark.parametrize("end", ["---", "...", "---  "])
def test_front_matter_may_end_with_dots_or_with_the_file(end):
    """A document of front matter alone has no blocks."""
    document = markdown("---", "title: T", end)
    assert (document.title, document.blocks) == ("T", ())


def test_text_between_two_rules_is_no_front_matter():
    """A document may begin with a rule."""
    document = markdown("---", "", "Some text.", "", "---", "", "- more")
    assert (texts(document), document.warnings) == (["Some text.", "- more"], ())
    assert texts(markdown("---", "never closed")) == ["never closed"]
    assert texts(markdown("", "---", "title: T", "", "---")) == ["title: T"]
