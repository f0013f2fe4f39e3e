"""The training examples: the right words stay marked, whatever is done to question and context.

Every question of the data has a word that no augmentation changes, such as `k7a`: by it an example is known again.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import TrainingError
from bot.core.text import content_words, words
from bot.training.examples import FILES, ReadingExample, Sources, as_in_chat

# The first 25th, the 26th and so on of the contexts are held out: 0, 25 and 50 here, and 0 and 25.
PARAGRAPHS, TALES, SENTENCES, SECTIONS = 60, 30, 40, 12


def name(number: int) -> str:
    """Another for each number below 100."""
    first, second = "Bar Cor Del Fen Gar Hol Jun Kel Lor Mar".split(), "ba ca da fo gu hi ji ko lu mo".split()
    return first[number // 10] + second[number % 10]


def labelled(context_id: str, question: str, answer: str | None, context: str) -> dict[str, Any]:
    start = None if answer is None else context.index(answer)
    return {"context_id": context_id, "question": question, "answer": answer, "start": start, "context": context}


def paragraph(number: int) -> list[dict[str, Any]]:
    """Two questions that the paragraph answers, and one that it doesn't. Ten paragraphs share an article."""
    place, year = f"Old {name(number)}", 1500 + number
    context = f"{place} has {1000 + number} towers. Its gate was built first by Master {name(number)}son in {year}."
    context_id = f"Towns_of_{number // 10}/p{number}"
    return [
        labelled(
            context_id,
            f"How many towers k{number}a of {place} stood in {year}?",
            f"{1000 + number} towers",
            context,
        ),
        labelled(context_id, f"Who k{number}b built the gate first?", f"Master {name(number)}son", context),
        labelled(context_id, f"Why k{number}c fell the bridge?", None, context),
    ]


def tale(number: int) -> dict[str, Any]:
    """Three paragraphs share a tale."""
    answer = f"a basket of {name(number)} apples"
    context = f"Once upon a time a fox came along with {answer}, which nobody wanted."
    return labelled(f"Fox-{number // 3}/{number}", f"What k{number}t came along with the fox?", answer, context)


def sentence(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = f"{number} boats of {name(number)}wood"
    text = f"The {name(number)} river carries {answer} every spring."
    question = {"question": f"What k{number}s floats along the river?", "answer": answer, "start": text.index(answer)}
    return {"id": f"s{number}", "text": text}, {"sentence_id": f"s{number}", **question}


def section(number: int) -> dict[str, Any]:
    """Two of its six sentences answer."""
    return {
        "question": f"How k{number}x is the bread made there?",
        "article": f"Bread of {name(number)}",
        "section": "Baking" if number % 2 else "",
        "sentences": [f"Step {step} of {name(number)} takes flour." for step in range(6)],
        "answers": [2, 3],
    }


def write_data(
    folder: Path,
    paragraphs: int = PARAGRAPHS,
    tales: int = TALES,
    sentences: int = SENTENCES,
    sections: int = SECTIONS,
) -> Path:
    """A folder of training data with so many contexts of each kind."""
    texts, questions = zip(*map(sentence, range(sentences)), strict=True)
    rows: dict[str, Sequence[dict[str, Any]]] = {
        "qamr-sentences.jsonl": texts,
        "qamr-questions.jsonl": questions,
        "squad.jsonl": [row for number in range(paragraphs) for row in paragraph(number)],
        "fairytaleqa.jsonl": [tale(number) for number in range(tales)],
        "selqa.jsonl": [section(number) for number in range(sections)],
    }
    folder.mkdir(exist_ok=True)
    for file, objects in rows.items():
        (folder / file).write_text("".join(f"{json.dumps(row)}\n" for row in objects), encoding="utf-8")
    return folder


def near_by_number(texts: Sequence[str]) -> list[list[int]]:
    """For each of the sentences the twelve that follow, as if they were nearest in meaning."""
    return [[(number + step) % len(texts) for step in range(1, 13)] for number in range(len(texts))]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return Sources(write_data(tmp_path_factory.mktemp("data")), near_by_number)


QUESTIONS = [
    *(row for number in range(PARAGRAPHS) for row in paragraph(number)),
    *map(tale, range(TALES)),
    *(sentence(number)[1] for number in range(SENTENCES)),
]
SECTION_ROWS = [section(number) for number in range(SECTIONS)]


def key(question: str) -> str | None:
    found = re.search(r"\bk\d+[a-z]\b", question)
    return found.group() if found else None


ORIGINAL = {key(row["question"]): row["question"] for row in QUESTIONS + SECTION_ROWS}
RIGHT = {key(row["question"]): {row["answer"]} - {None} for row in QUESTIONS} | {
    key(row["question"]): {row["sentences"][number] for number in row["answers"]} for row in SECTION_ROWS
}


def bare(text: str) -> str:
    """Without the marks of Markdown."""
    return re.sub(r"\]\(https://example\.org/a\)|[*`\[]", "", text)


def marked(example: ReadingExample) -> list[str]:
    return [bare(example.context[slice(*target)]) for target in example.targets]


def as_asked(example: ReadingExample) -> bool:
    """Whether the question has the words of the original, or the important ones, with no mistake in typing."""
    original = ORIGINAL[key(example.question)]
    return words(example.question) in (words(original), content_words(original))


def share(examples: Sequence[ReadingExample], is_so: Callable[[ReadingExample], object]) -> float:
    return sum(map(bool, map(is_so, examples))) / len(examples)


# --- the right words --------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_what_is_marked_is_always_the_right_answer(sources: Sources, seed: int) -> None:
    """Among other sentences, below titles and headings, in lists, and with Markdown around and within it."""
    for example in sources.sentence_examples(30, seed) + sources.paragraph_examples(60, seed):
        if example.targets:
            assert set(marked(example)) <= RIGHT[key(example.question)]
            assert all(one[1] <= two[0] for one, two in pairwise(example.targets))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_a_context_without_a_target_does_not_hold_the_answer(sources: Sources, seed: int) -> None:
    """Where the words of the answer stand there nonetheless, the question is another one."""
    for example in sources.sentence_examples(30, seed) + sources.paragraph_examples(60, seed):
        asked = key(example.question)
        if not example.targets and any(right in bare(example.context) for right in RIGHT.get(asked, ())):
            assert asked is not None and asked[-1] in "ab"  # only questions about a paragraph are twisted
            assert not as_asked(example)


def test_only_sections_are_marked_loosely(sources: Sources) -> None:
    """Their targets are whole sentences, somewhere in which the answer lies."""
    examples = sources.paragraph_examples(400, seed=1)
    assert {(key(example.question) or " ")[-1] for example in examples if example.loose} == {"x"}
    assert not any(example.loose for example in examples if (key(example.question) or " ")[-1] != "x")


# --- how many of what -------------------------------------------------------------------------------------------------


def test_a_fifth_of_the_sentence_examples_have_no_answer(sources: Sources) -> None:
    """A quarter of those with other sentences around, which are six of seven: 0.214."""
    examples = sources.sentence_examples(2000, seed=1)
    assert 0.18 < share(examples, lambda example: not example.targets) < 0.25


def test_over_a_third_of_the_paragraph_examples_have_no_answer(sources: Sources) -> None:
    """Of the paragraphs' (0.48) a third has none, and of the others 0.14 are asked of another one and 0.12 twisted: 0.243.
    Of the tales' (0.17) 0.14: 0.024. Of the sections' (0.09) a quarter: 0.022. Of the sentences' (0.23) 0.214: 0.049.
    And all chatter: 0.03. Together 0.37."""
    examples = sources.paragraph_examples(2000, seed=1)
    assert len(examples) == 2000
    assert 0.33 < share(examples, lambda example: not example.targets) < 0.41
    assert 0.01 < share(examples, lambda example: key(example.question) is None) <= 0.03  # small talk and commands


def test_every_question_is_used_equally_often(sources: Sources) -> None:
    """Twice each, though in random order."""
    asked = Counter(key(example.question) for example in sources.sentence_examples(2 * SENTENCES, seed=1))
    assert asked == Counter({f"k{number}s": 2 for number in range(SENTENCES)})


def test_most_other_sentences_are_near_in_meaning(sources: Sources) -> None:
    """By chance 12 of 39 would be; 0.65 are chosen for it, and some of the rest happen to be."""
    near = far = 0
    for example in sources.sentence_examples(1000, seed=1):
        number = int((key(example.question) or "")[1:-1])
        for other in map(int, re.findall(r"carries (\d+) boats", bare(example.context))):
            near += 1 <= (other - number) % SENTENCES <= 12
            far += (other - number) % SENTENCES > 12
    assert near > 1.5 * far > 0


# --- as people write --------------------------------------------------------------------------------------------------


def test_questions_are_typed_as_in_chat(sources: Sources) -> None:
    """0.05 are keywords and 0.3 of the others lack their question mark: 0.33; 0.06 have a mistake or two."""
    examples = sources.sentence_examples(2000, seed=1)
    assert 0.28 < share(examples, lambda example: not example.question.endswith("?")) < 0.38
    assert 0.04 < share(examples, lambda example: not as_asked(example)) < 0.08


def test_some_contexts_look_like_documents(sources: Sources) -> None:
    """Titles above (0.4 of the paragraphs), Markdown in the text, lists."""
    examples = sources.paragraph_examples(2000, seed=1)
    paragraphs = [example for example in examples if re.match(r"k\d+[abc]", key(example.question) or "")]
    assert 0.3 < share(paragraphs, lambda example: "Towns of" in bare(example.context)) < 0.5
    assert 0.03 < share(examples, lambda example: bare(example.context) != example.context) < 0.15
    assert any(re.search(r"^- The", example.context, re.MULTILINE) for example in examples)
    assert any("**" in example.context[slice(*target)] for example in examples for target in example.targets)


def test_a_twisted_question_differs_by_what_the_paragraph_contradicts(sources: Sources) -> None:
    """Another year, another name, the opposite: each of them occurs, and none of them stands in the paragraph."""
    ways = Counter[str]()
    for example in sources.paragraph_examples(6000, seed=1):
        asked = key(example.question) or ""
        if example.targets or asked[-1:] not in ("a", "b") or not as_typed(example):
            continue
        number = int(asked[1:-1])
        if f"has {1000 + number} towers" not in bare(example.context):
            continue  # asked of another paragraph
        question = example.question.lower()
        if asked[-1] == "b":
            ways["opposite"] += 1
            assert "last" in question and "first" not in question
            continue
        (year,) = re.findall(r"\b\d{3,4}\b", question)
        if year != str(1500 + number):
            ways["number"] += 1
            assert year not in bare(example.context)
        else:
            ways["name"] += 1
            assert name(number).lower() not in question
    assert min(ways["opposite"], ways["number"], ways["name"]) > 10


def test_keywords_keep_the_word_that_twists_a_question() -> None:
    """Without it, the context would answer after all."""
    typed = {as_in_chat("Which of them did not have more towers?", random.Random(seed)) for seed in range(300)}
    assert "not more towers" in typed


def as_typed(example: ReadingExample) -> bool:
    """Whether no word has a mistake in it, by those that all questions of a paragraph share."""
    known = {*words(" ".join(ORIGINAL.values())), "last", *words(" ".join(map(name, range(100))))}
    return all(word in known or word.isdecimal() for word in words(example.question))


# --- repeatable, and apart from what is held out ----------------------------------------------------------------------


def test_a_seed_gives_the_same_examples_again(sources: Sources) -> None:
    """So that a training can be repeated, and gone on with."""
    for made in (sources.sentence_examples, sources.paragraph_examples):
        assert made(50, seed=3) == made(50, seed=3) != made(50, seed=4)


def test_whole_contexts_are_held_out_as_they_are(sources: Sources) -> None:
    """One of 25, with all of its questions."""
    assert set(sources.held_out) == {"squad", "fairytaleqa"}
    asked = [key(example.question) for example in sources.held_out["squad"]]
    assert asked == [f"k{number}{kind}" for number in (0, 25, 50) for kind in "abc"]
    assert [key(example.question) for example in sources.held_out["fairytaleqa"]] == ["k0t", "k25t"]
    for example in sources.held_out["squad"] + sources.held_out["fairytaleqa"]:
        assert example.question == ORIGINAL[key(example.question)]
        assert set(marked(example)) == RIGHT[key(example.question)]


def test_no_question_that_is_held_out_is_trained_on(sources: Sources) -> None:
    """Nor is any other of its paragraph; all others are."""
    trained = {key(example.question) for example in sources.paragraph_examples(4000, seed=1)}
    held_out = {key(example.question) for examples in sources.held_out.values() for example in examples}
    assert trained - {None} == ORIGINAL.keys() - held_out


def test_no_context_that_is_held_out_is_trained_on(sources: Sources) -> None:
    """Not even as one that only looks right."""
    held_out = [example.context for examples in sources.held_out.values() for example in examples]
    for example in sources.paragraph_examples(4000, seed=1):
        assert not any(context in bare(example.context) for context in held_out)


# --- files that are wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named_with_all_that_are_needed(tmp_path: Path, file: str) -> None:
    """Whichever it is."""
    (write_data(tmp_path) / file).unlink()
    with pytest.raises(TrainingError) as error:
        Sources(tmp_path, near_by_number)
    assert str(error.value).startswith(f"{tmp_path / file} can't be read (No such file")
    assert all(name in str(error.value) for name in FILES)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("line", ["{", "[]", "{}", '"text"'])
def test_a_line_that_is_wrong_is_named(tmp_path: Path, file: str, line: str) -> None:
    """Not JSON, not an object, or without what is needed; blank lines count but are passed over."""
    wrong = write_data(tmp_path) / file
    first = wrong.read_text(encoding="utf-8").split("\n")[0]
    wrong.write_text(f"{first}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=re.escape(f"{wrong} line 3: not ")):
        Sources(tmp_path, near_by_number)


def test_what_refers_to_nothing_is_named(tmp_path: Path) -> None:
    """A sentence that isn't there, an answer beyond the section."""
    data = write_data(tmp_path)
    whole = (data / "selqa.jsonl").read_text(encoding="utf-8")
    (data / "selqa.jsonl").write_text(json.dumps(section(1) | {"answers": [99]}), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"selqa\.jsonl: an answer of .* is none of its"):
        Sources(data, near_by_number)
    (data / "selqa.jsonl").write_text(whole, encoding="utf-8")
    question = json.loads((data / "qamr-questions.jsonl").read_text(encoding="utf-8").split("\n")[0])
    (data / "qamr-questions.jsonl").write_text(json.dumps(question | {"sentence_id": "lost"}), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"there is no sentence 'lost' in qamr-sentences\.jsonl"):
        Sources(data, near_by_number)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    """By its first byte that isn't UTF-8."""
    (write_data(tmp_path) / "selqa.jsonl").write_bytes(b'{"question": "\xff"}')
    with pytest.raises(TrainingError, match=r"selqa\.jsonl: not UTF-8 text \(byte 15\)"):
        Sources(tmp_path, near_by_number)


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    """JSON may hold U+2028 as it is."""
    row = section(1) | {"sentences": ["Before\u2028after."], "answers": [0]}
    (write_data(tmp_path) / "selqa.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    examples = Sources(tmp_path, near_by_number).paragraph_examples(200, seed=1)
    assert any("Before\u2028after." in bare(example.context) for example in examples)


@pytest.mark.parametrize("file", ["qamr-questions.jsonl", "squad.jsonl", "fairytaleqa.jsonl", "selqa.jsonl"])
def test_too_little_to_train_on_is_said(tmp_path: Path, file: str) -> None:
    """Nothing, or a single context, which is the one held out."""
    data = write_data(tmp_path)
    lines = (data / file).read_text(encoding="utf-8").split("\n")
    single = 1 if file in ("squad.jsonl", "fairytaleqa.jsonl") else 0
    (data / file).write_text("\n".join(lines[:single]), encoding="utf-8")
    with pytest.raises(TrainingError, match="must have questions"):
        Sources(data, near_by_number)
