"""The files of an evaluation: their fields, the defaults of these, and the messages about malformed lines."""

import json
from pathlib import Path

import pytest

from bot.core.errors import DocumentError
from bot.evaluation.questions import (
    EarlierMessage,
    EvaluationQuestion,
    KeyLines,
    QuestionKind,
    QuestionSet,
    load_documents,
    load_questions,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "questions.jsonl"


def write(file: Path, *objects: object) -> None:
    file.write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")


def test_a_full_line_is_read(file: Path) -> None:
    write(
        file,
        {
            "id": "q-1",
            "question": "And on Windows?",
            "kind": "followup",
            "answers": ["run setup.exe", "setup.exe"],
            "doc_id": "a.md",
            "doc_ids": ["a.md", "b.md"],
            "related_doc_ids": ["c.md", "d.md"],
            "history": [{"role": "user", "text": "How to install?"}, {"role": "assistant", "text": "On what?"}],
            "reference": "Run it.",
            "subtype": "howto",
            "key": ["setup.exe /quiet", "next > next"],
            "key_all": True,
            "places": [{"doc_id": "a.md", "lines": [12, 15]}, {"doc_id": "b.md", "lines": [3, 3]}],
            "comment": "ignored",
        },
    )
    assert load_questions(file) == [
        EvaluationQuestion(
            id="q-1",
            question="And on Windows?",
            kind=QuestionKind.FOLLOWUP,
            answers=("run setup.exe", "setup.exe"),
            doc_ids=frozenset({"a.md", "b.md"}),
            history=(EarlierMessage("user", "How to install?"), EarlierMessage("assistant", "On what?")),
            reference="Run it.",
            related=frozenset({"c.md", "d.md"}),
            subtype="howto",
            key=("setup.exe /quiet", "next > next"),
            key_all=True,
            places=(KeyLines("a.md", 12, 15), KeyLines("b.md", 3, 3)),
        )
    ]


def test_a_question_alone_is_enough(file: Path) -> None:
    """The id is the line's number, counted with the blank lines."""
    file.write_text('\n{"question": "What?"}\n\n', encoding="utf-8")
    assert load_questions(file) == [EvaluationQuestion("2", "What?", QuestionKind.ANSWERABLE)]


def test_documents_are_named_one_by_one_or_as_a_list(file: Path) -> None:
    """The list wins where it names any; related ones are not right ones."""
    write(
        file,
        {"question": "What?", "doc_id": "a.md", "related_doc_id": "b.md"},
        {"question": "Why?", "doc_id": "a.md", "doc_ids": [], "related_doc_ids": ["b.md", "b.md"]},
        {"question": "How?", "related_doc_id": "b.md", "related_doc_ids": ["c.md"]},
    )
    assert [(question.doc_ids, question.related) for question in load_questions(file)] == [
        ({"a.md"}, {"b.md"}),
        ({"a.md"}, {"b.md"}),
        (set(), {"c.md"}),
    ]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"answers": []}, QuestionKind.UNANSWERABLE),
        ({"answers": [], "doc_id": "a.md"}, QuestionKind.UNANSWERABLE),
        ({"answers": None, "doc_id": "a.md"}, QuestionKind.ANSWERABLE),
        ({"doc_ids": ["a.md"]}, QuestionKind.ANSWERABLE),
        ({"reference": "So."}, QuestionKind.ANSWERABLE),
        ({"history": [{"role": "user", "text": "Hm?"}]}, QuestionKind.FOLLOWUP),
        ({"kind": "offtopic", "answers": None}, QuestionKind.OFFTOPIC),
    ],
)
def test_the_kind_follows_from_what_is_given(file: Path, given: dict[str, object], kind: QuestionKind) -> None:
    write(file, {"question": "What?", **given})
    assert load_questions(file)[0].kind is kind


def test_the_kind_decides_over_the_answers(file: Path) -> None:
    write(
        file,
        {"question": "What?", "kind": "unanswerable", "answers": None},
        {"question": "What?", "kind": "answerable", "answers": []},
    )
    assert [question.answers for question in load_questions(file)] == [(), None]


def test_ids_may_be_numbers(file: Path) -> None:
    write(file, {"id": 0, "question": "What?"}, {"id": 7, "question": "Why?"})
    assert [question.id for question in load_questions(file)] == ["0", "7"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not valid JSON"),
        ("9" * 5000, "not JSON that can be read"),
        ("[" * 100_000, "not JSON that can be read"),
        ('["question"]', "one object in braces"),
        ("{}", "`question` is missing or empty"),
        ('{"question": "  "}', "`question` is missing or empty"),
        ('{"question": 5}', "`question` must be a text"),
        ('{"question": "\\ud800"}', "broken character at position 1"),
        ('{"question": "q", "id": true}', "`id` must be a text"),
        ('{"question": "q", "kind": "maybe"}', "one of answerable, followup, unanswerable, offtopic"),
        ('{"question": "q", "answers": "a"}', "`answers` must be a list"),
        ('{"question": "q", "answers": [1]}', "each of `answers` must be a text"),
        ('{"question": "q", "answers": [""]}', "one of `answers` is empty"),
        ('{"question": "q", "doc_id": 3}', "`doc_id` must be a text"),
        ('{"question": "q", "doc_ids": {"a": 1}}', "`doc_ids` must be a list"),
        ('{"question": "q", "related_doc_ids": "a.md"}', "`related_doc_ids` must be a list"),
        ('{"question": "q", "history": ["u"]}', "each of `history` must be an object"),
        ('{"question": "q", "history": [{"role": "bot", "text": "t"}]}', '"user" or "assistant"'),
        ('{"question": "q", "history": [{"role": "user"}]}', "the `text` of each of `history`"),
        ('{"question": "q", "reference": []}', "`reference` must be a text"),
        ('{"question": "q", "subtype": 1}', "`subtype` must be a text"),
        ('{"question": "q", "key": "k"}', "`key` must be a list"),
        ('{"question": "q", "key": [" "]}', "one of `key` is empty"),
        ('{"question": "q", "key_all": "yes"}', "`key_all` must be true or false"),
        ('{"question": "q", "places": {}}', "`places` must be a list"),
        ('{"question": "q", "places": [{"doc_id": "a.md"}]}', "each of `places` must be an object with a `doc_id`"),
        ('{"question": "q", "places": [{"doc_id": "a.md", "lines": [1]}]}', "`lines`, such as [12, 15]"),
        ('{"question": "q", "places": [{"doc_id": "a.md", "lines": ["1", "2"]}]}', "`lines`, such as [12, 15]"),
    ],
)
def test_a_malformed_line_is_named(file: Path, line: str, said: str) -> None:
    file.write_text(f'{{"question": "fine"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DocumentError) as error:
        load_questions(file)
    assert str(error.value).startswith(f"{file} line 2: ")
    assert said in str(error.value)


def test_an_id_stands_once(file: Path) -> None:
    write(file, {"id": "x", "question": "What?"}, {"id": "y", "question": "Why?"}, {"id": "x", "question": "How?"})
    with pytest.raises(DocumentError, match="line 3: its `id` is that of line 1"):
        load_questions(file)


def test_a_file_without_questions_is_refused(file: Path) -> None:
    file.write_text("\n \n", encoding="utf-8")
    with pytest.raises(DocumentError, match="no question in it"):
        load_questions(file)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(DocumentError, match=r"questions\.jsonl: can't be read \(No such file"):
        load_questions(file)


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes('{"question": "Où?"}'.encode("latin-1"))
    with pytest.raises(DocumentError, match=r"not UTF-8 text \(byte 16\)"):
        load_questions(file)


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_text('{"question": "What?"}', encoding="utf-8-sig")
    assert load_questions(file)[0].question == "What?"


def test_documents_are_read_as_markdown_under_their_given_titles(file: Path) -> None:
    write(
        file,
        {"id": "set/1", "title": "Guide", "text": "# Install\n\nRun it.\n", "source": "ignored"},
        {"id": "set/2", "title": "Manual", "text": "Read it.", "url": "https://example.org/2"},
    )
    guide, manual = load_documents(file)
    assert (guide.path, guide.title, guide.url) == ("set/1", "Guide", None)
    assert [block.text for block in guide.blocks] == ["Run it."]
    assert (manual.path, manual.url) == ("set/2", "https://example.org/2")


def test_there_may_be_no_document(file: Path) -> None:
    file.touch()
    assert load_documents(file) == []


@pytest.mark.parametrize("missing", ["id", "title", "text"])
def test_a_document_needs_all_its_fields(file: Path, missing: str) -> None:
    document = {"id": "1", "title": "Guide", "text": "Run it."}
    del document[missing]
    write(file, document)
    with pytest.raises(DocumentError, match=f"line 1: `{missing}` is missing"):
        load_documents(file)


def test_what_the_loader_refuses_is_named_with_its_line(file: Path) -> None:
    write(file, {"id": "1", "title": "Guide", "text": "a\0b"})
    with pytest.raises(DocumentError, match="line 1: this is a binary file"):
        load_documents(file)


def test_a_folder_with_both_files_is_a_set(tmp_path: Path) -> None:
    """Named after the folder."""
    folder = tmp_path / "faq"
    folder.mkdir()
    for name in ("questions.jsonl", "documents.jsonl"):
        with pytest.raises(DocumentError, match=rf"{name}: not there; a set is a folder with"):
            QuestionSet.of_folder(folder)
        (folder / name).touch()
    assert QuestionSet.of_folder(folder) == QuestionSet(
        "faq", folder / "questions.jsonl", documents=folder / "documents.jsonl"
    )


def test_sets_of_the_same_folder_name_keep_apart(tmp_path: Path) -> None:
    """By their whole paths, or one would take the other's place; others have their short names."""
    folders = [tmp_path / "old" / "uv", tmp_path / "new" / "uv", tmp_path / "new" / "faq"]
    for folder in folders:
        folder.mkdir(parents=True)
        for name in ("questions.jsonl", "documents.jsonl"):
            (folder / name).touch()
    named = [each.name for each in QuestionSet.of_folders(folders)]
    assert named == [str(folders[0]), str(folders[1]), "faq"]
