"""True statements to try the check of generated sentences with: restatements and quotes, with the passages they come from."""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bot.core.documents import FoundPassage
from bot.core.text import content_words, plain, sentences, stems
from bot.evaluation.questions import EvaluationQuestion, load_documents, load_questions
from bot.inference.encoder import Encoder
from bot.knowledge.passages import split

RESTATED = ("mtrag", "clapnq", "awsdocs")
QUOTED = ("squad2", "doc2dial", "covidqa", "clapnq", "mtrag", "awsdocs")
QUOTES_PER_SET = 120
MOST_PASSAGES = 5  # as answer.read_passages
PASSAGE_TOKENS = 200  # as knowledge.passage_tokens


@dataclass(frozen=True, slots=True)
class Statement:
    """A true sentence, or a false one with the kind of change in it. `origin`: the true sentence that was changed."""

    text: str
    question: str
    passages: tuple[FoundPassage, ...]
    set: str
    side: int
    kind: str
    origin: str = ""
    made_from: str = ""

    @property
    def true(self) -> bool:
        return not self.origin


def side_of(article: str) -> int:
    """Which half an article belongs to."""
    return hashlib.sha256(article.encode()).digest()[0] % 2


PassagesOf = Callable[[str], Sequence[FoundPassage]]


def true_statements(folder: Path, encoder: Encoder) -> list[Statement]:
    statements: list[Statement] = []
    for name in dict.fromkeys((*RESTATED, *QUOTED)):
        questions = load_questions(folder / name / "questions.jsonl")
        passages_of = cutter(folder / name / "documents.jsonl", encoder)
        if name in RESTATED:
            statements += restatements(name, questions, passages_of)
        if name in QUOTED:
            statements += quotes(name, questions, passages_of)
    return statements


def cutter(file: Path, encoder: Encoder) -> PassagesOf:
    """The passages of a document by its path, as the index has them."""
    documents = {document.path: document for document in load_documents(file)}

    @cache
    def passages_of(path: str) -> tuple[FoundPassage, ...]:
        document = documents[path]
        return tuple(
            FoundPassage(path, document.title, None, (number, number), passage)
            for number, passage in enumerate(split(document, encoder.count_tokens, PASSAGE_TOKENS))
        )

    return passages_of


def restatements(name: str, questions: Sequence[EvaluationQuestion], passages_of: PassagesOf) -> Iterator[Statement]:
    sides = halves(questions)
    for question in questions:
        if not (question.kind.expects_answer and question.reference and question.doc_ids):
            continue
        passages = [passage for path in sorted(question.doc_ids) for passage in passages_of(path)]
        if name == "awsdocs":  # whole pages: those of their passages that would be read
            passages = nearest(f"{question.question} {' '.join(question.answers or ())}", passages)
        for text in statements_of(question.reference):
            yield Statement(text, question.question, tuple(passages), name, sides[question.id], "restatement")


def quotes(name: str, questions: Sequence[EvaluationQuestion], passages_of: PassagesOf) -> Iterator[Statement]:
    """Sentences of the documents that questions are asked about, one a question."""
    sides = halves(questions)
    chance = random.Random(name)  # noqa: S311 - chance that can be repeated
    asked = [question for question in questions if question.kind.expects_answer and question.doc_ids]
    for question in chance.sample(asked, min(QUOTES_PER_SET, len(asked))):
        passages = passages_of(min(question.doc_ids))
        place = chance.randrange(len(passages))
        around = passages[max(0, place - 2) : place + 3]
        said = [text for text in statements_of(plain(passages[place].passage.body)) if 6 <= len(text.split()) <= 45]
        if said:
            yield Statement(chance.choice(said), question.question, tuple(around), name, sides[question.id], "quote")


def halves(questions: Sequence[EvaluationQuestion]) -> Mapping[str, int]:
    """Return the half of each question by its id. Questions of one article or conversation are in the same half."""
    group: dict[str, str] = {}

    def root(key: str) -> str:
        while group.setdefault(key, key) != key:
            key = group[key]
        return key

    for question in questions:
        first = question.history[0].text if question.history else question.question
        for article in map(article_of, sorted(question.doc_ids)):
            group[root(f"article {article}")] = root(f"said {first}")
    return {
        question.id: side_of(root(f"said {question.history[0].text if question.history else question.question}"))
        for question in questions
    }


def article_of(path: str) -> str:
    """The passages of one article have its id with their place in it behind it."""
    return re.sub(r"(?:/p\d+|(?:-\d+)+)$", "", path)


def nearest(text: str, passages: Sequence[FoundPassage]) -> list[FoundPassage]:
    wanted = stems(plain(text))
    best = sorted(passages, key=lambda found: -len(wanted & stems(found.passage.body)))[:MOST_PASSAGES]
    return sorted(best, key=lambda found: found.positions)


def statements_of(text: str) -> list[str]:
    """The sentences of a text that say something: more than two words, and no question."""
    found = [line[start:end] for line in text.splitlines() for start, end in sentences(line)]
    return [said for said in found if len(said.split()) > 2 and not said.endswith("?") and content_words(said)]
