"""How well the reader reads: the right document given, which words answer, and whether any do.

    python benchmarks/reading.py SET... [--reader FOLDER]

A SET is a folder with documents.jsonl and questions.jsonl. Documents are read as in the bot: with their title above them, in
which no answer is looked for. A question that its documents don't answer is asked of the one
that looks as if it did (`related_doc_id`), where the set names one. Follow-up questions are left out.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.core.settings import ModelsSettings, ReaderSettings
from bot.evaluation.questions import EvaluationQuestion, QuestionKind, load_documents, load_questions
from bot.inference.span_model import load_span_model
from bot.training.examples import ReadingExample
from bot.training.reader import measure_reading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--reader", default="", help="a folder or id; default: the reader that ships with the bot")
    options = parser.parse_args()
    model = load_span_model(ReaderSettings(model=options.reader), ModelsSettings())
    table = Table("set", "questions", "answerable", "exact match", "F1", "AUROC")
    for folder in options.sets:
        examples = list(examples_of(folder))
        figures = measure_reading(model, examples)
        answerable = sum(bool(example.targets) for example in examples)
        scores = [f"{figures[name]:.3f}" if name in figures else "-" for name in ("exact", "f1", "auroc")]
        table.add_row(folder.name, str(len(examples)), str(answerable), *scores)
    Console().print(table)


def examples_of(folder: Path) -> Iterator[ReadingExample]:
    documents = {document.path: document for document in load_documents(folder / "documents.jsonl")}
    for question in load_questions(folder / "questions.jsonl"):
        path = document_of(question)
        if path not in documents:
            continue
        document = documents[path]
        context = "\n".join((document.title, *(block.text for block in document.blocks)))
        places = [(context.find(answer), answer) for answer in question.answers or ()]
        targets = tuple((start, start + len(answer)) for start, answer in places if start >= 0)
        if targets or question.kind is QuestionKind.UNANSWERABLE:
            yield ReadingExample(question.question, context, targets, begin=len(document.title) + 1)


def document_of(question: EvaluationQuestion) -> str | None:
    if question.kind is QuestionKind.ANSWERABLE:
        return min(question.doc_ids, default=None)
    return min(question.related, default=None) if question.kind is QuestionKind.UNANSWERABLE else None


if __name__ == "__main__":
    main()
