"""JSON and JSON lines: records become stored pairs, sections or a table."""

import json

import pytest

from bot.core.documents import Form
from tests.knowledge.formats.reading import (
    only,
    pairs,
    read,
    refusal,
)


def test_json_may_be_a_list_or_a_mapping_or_one_pair():
    """The row is the pair's number."""
    listed = [{"question": "x", "answer": "y", "id": 1}, {"Q": " a ", "A": "b\n"}]
    assert pairs(read("faq.json", json.dumps(listed))) == [(1, "x", "y"), (2, "a", "b")]
    assert pairs(read("faq.json", '{"x": "y", "a": "b"}')) == [(1, "x", "y"), (2, "a", "b")]
    assert pairs(read("faq.json", '{"question": "x", "answer": "y"}')) == [(1, "x", "y")]


def test_pairs_are_found_within_other_objects():
    """Exports wrap them, one list or several."""
    wrapped = {"version": 2, "faqs": [{"question": "x", "answer": "y"}]}
    assert pairs(read("faq.json", json.dumps(wrapped))) == [(1, "x", "y")]
    grouped = {
        "groups": [{"name": "A", "items": [{"q": "x", "a": "y"}]}, {"name": "B", "items": [{"q": "v", "a": "w"}]}]
    }
    assert pairs(read("faq.json", json.dumps(grouped))) == [(1, "x", "y"), (2, "v", "w")]


def test_a_pair_may_have_several_phrasings():
    """Each is searched; an answer of several texts is all of them."""
    listed = [{"questions": ["x?", " y? "], "answers": ["One.", "Two."]}, {"question": ["z?"], "answer": "Three."}]
    assert pairs(read("faq.json", json.dumps(listed))) == [(1, "x?\ny?", "One.\nTwo."), (2, "z?", "Three.")]


def test_articles_are_sections():
    """A title, a text, and what else the object says in words."""
    listed = {"articles": [{"id": 7, "title": "Lift", "body": "It carries ten.", "floor": 2, "tags": ["a"]}]}
    blocks = read("a.json", json.dumps(listed)).blocks
    assert [(block.form, block.heading, block.text, block.locator.row) for block in blocks] == [
        (Form.PARAGRAPH, ("Lift",), "It carries ten.", 1),
        (Form.LIST, ("Lift",), "- floor: 2", 1),
    ]


@pytest.mark.parametrize("path", ["a.json", "a.jsonl"])
def test_objects_of_plain_values_are_a_table(path):
    """Of the columns that any of them has."""
    records = [{"boat": "Heron", "berth": 7}, {"boat": "Tern", "berth": None, "owner": True}]
    text = "\n".join(map(json.dumps, records)) if path.endswith("l") else json.dumps(records)
    assert only(read(path, text)).text == (
        "| boat | berth | owner |\n| --- | --- | --- |\n| Heron | 7 |  |\n| Tern |  | true |"
    )


def test_json_lines_count_their_lines():
    """Blank lines count; what is no pair is named."""
    document = read(
        "faq.jsonl", '\n{"question": "x", "answer": "y\u2028z"}\n\n[1]\n{"question": "a"}\n{"q": "", "a": "b"}'
    )
    assert pairs(document) == [(2, "x", "y\u2028z")]
    assert document.warnings == ("without a question or an answer, passed over: row 4, 5, 6",)


def test_half_a_character_in_json_is_replaced():
    """It could neither be stored nor shown; a whole one written as two escapes stays."""
    document = read("faq.jsonl", '{"question": "a \\ud83d b", "answer": "\\ud83d\\ude00 \\udc00"}')
    assert pairs(document) == [(1, "a \ufffd b", "😀 \ufffd")]


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("a.jsonl", '{"question": "x", "answer": "y"}\n\n{"question": oops}', "not valid JSON at line 3, column 14 ("),
        ("a.json", '[\n{"question": "x",\n "answer": "y",}\n]', "not valid JSON at line 3, column 16 ("),
        ("a.json", "", "not valid JSON at line 1, column 1 ("),
        ("a.jsonl", "{}\n" + "9" * 5000, "can't be read as JSON from line 2 on: a number is too long"),
        ("a.json", "[" * 100_000, "can't be read as JSON from line 1 on: a number is too long or brackets are nested"),
        ("a.json", '"text"', "expected question-answer pairs: each with a `question` and an `answer`, as a list"),
        ("a.json", '{"x": ["y"]}', "expected question-answer pairs: each with a `question` and an `answer`, as a list"),
        ("a.json", "[]", "expected question-answer pairs: each with a `question` and an `answer`; there are none"),
        ("a.jsonl", "", "expected question-answer pairs: each with a `question` and an `answer`; there are none"),
        ("a.jsonl", '{"foo": "x"}', "expected question-answer pairs: each with a `question` and an `answer`"),
    ],
)
def test_broken_json_is_refused_with_its_place(path, content, expected):
    """The line is the file's, and there is only one line in the message."""
    message = refusal(path, content)
    assert message.startswith(expected)
    assert message.count("line") <= 1
