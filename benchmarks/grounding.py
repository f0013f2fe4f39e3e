"""The shares of false statements that the check of generated sentences catches, and of true ones that it keeps.

    python benchmarks/grounding.py [--sets FOLDER] [--fit FILE] [--sample 0.25]

FOLDER holds evaluation sets, each with documents.jsonl and questions.jsonl. True restatements are the sentences of the
`reference` answers of mtrag, clapnq and awsdocs, as they are, against the passages that they were written from; some say more
than these passages do, and count as rejected all the same. Quotes are sentences of the documents of all sets. False statements
are made from both by rule: a number, a name, a date, a unit changed, a negation put in or taken out; beside these an opposite
put in place of a word. Half of the numbers, dates and names that are put in stand elsewhere in the same passages. A name is
also carried over from a question: another one stands in both, and nowhere in the passages.

The articles of each set are divided in two halves. --fit fits the weights on the first one and writes them to FILE; the
figures of both are printed.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

sys.path.append(str(Path(__file__).parent.parent))

from benchmarks.grounding_changes import false_statements
from benchmarks.grounding_statements import RESTATED, Statement, nearest, statements_of, true_statements
from bot.core.documents import FoundPassage
from bot.core.settings import EncoderSettings, GroundingSettings, ModelsSettings, ReaderSettings
from bot.core.text import plain, share_of_words, stems
from bot.engine.grounding import Grounding
from bot.engine.logistic import LogisticModel
from bot.engine.support import LEAST_SAID, NAMES, SHIPPED, WORD_NAMES, Support, SupportModel
from bot.inference.encoder import load_encoder
from bot.inference.span_model import load_span_model
from bot.inference.workers import AsyncEncoder, AsyncReader, InferenceWorker, Models

Outcome = tuple[str, ...] | Support
"""The reasons, where no scores were needed, or the scores."""
REQUIRED = ("number", "name", "negation", "unit", "date")
# What a false statement of a kind counts in the fit; a true restatement counts as much as all of them need to balance.
_WEIGHTS = {"elsewhere": 0.3, "grafted": 0.25, "opposite": 0.2, "exchanged": 0.2, "quote": 0.5}
_RIDGE = 1e-5
# What may only speak for a sentence; everything else may only speak against it.
_FOR = frozenset({"asked", "least_covered_run", "cosine"})
# At most so many true restatements are rejected in the half that is fitted on; the other half may bring somewhat more.
_REJECTED = 0.145


async def examined(statements: Sequence[Statement], encoder: AsyncEncoder, reader: AsyncReader) -> list[Outcome]:
    """Return the outcome of each statement, through the real workers."""
    grounding = Grounding(encoder, reader, GroundingSettings())
    together: dict[tuple[tuple[FoundPassage, ...], str], list[int]] = defaultdict(list)
    for number, statement in enumerate(statements):
        together[statement.passages, statement.question].append(number)
    outcomes: dict[int, Outcome] = {}
    places = asyncio.Semaphore(32)  # so many sets of passages are held in memory at once

    async def examine(passages: tuple[FoundPassage, ...], question: str, numbers: Sequence[int]) -> None:
        async with places:
            checking = grounding.checking(passages, question)
            for number in numbers:
                outcomes[number] = await checking.examine(statements[number].text)

    await asyncio.gather(*(examine(*key, numbers) for key, numbers in together.items()))
    return [outcomes[number] for number in range(len(statements))]


def fit(statements: Sequence[Statement], outcomes: Sequence[Outcome]) -> SupportModel:
    """Fit both models on the first half, without the statements that are refused before any score."""
    outcomes = [
        ("not_in_passages",) if isinstance(outcome, Support) and outcome.anywhere < LEAST_SAID else outcome
        for outcome in outcomes
    ]
    first = [
        (statement, outcome)
        for statement, outcome in zip(statements, outcomes, strict=True)
        if statement.side == 0 and isinstance(outcome, Support)
    ]
    restated = [
        outcome
        for statement, outcome in zip(statements, outcomes, strict=True)
        if statement.side == 0 and statement.kind == "restatement"
    ]
    return SupportModel(
        with_meaning=numbers_for(NAMES, first, restated),
        by_words=numbers_for(WORD_NAMES, first, restated),
        provenance={
            "sets": sorted({statement.set for statement, _ in first}),
            "half": "the first one of the articles of each set",
            "true": sum(statement.true for statement, _ in first),
            "false": sum(not statement.true for statement, _ in first),
            "made_at": datetime.now(UTC).strftime("%Y-%m-%d"),
            "made_by": "benchmarks/grounding.py --fit",
        },
    )


def numbers_for(
    names: Sequence[str], fitting: Sequence[tuple[Statement, Support]], restated: Sequence[Outcome]
) -> LogisticModel:
    """Logistic regression in which each weight has the sign that its score has by its meaning. A probability of 0.5 is put
    where as many true restatements are rejected as may be."""
    scores = np.array([[getattr(found, name) for name in names] for _, found in fitting])
    sign = np.array([1.0 if statement.true else -1.0 for statement, _ in fitting])
    weight = np.array([_WEIGHTS.get(statement.kind, 1.0) for statement, _ in fitting])
    weight[sign > 0] *= weight[sign < 0].sum() / weight[sign > 0].sum()
    weight /= weight.sum()

    def loss(numbers: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (scores @ numbers[1:] + numbers[0])
        slope = -weight * sign / (1 + np.exp(margin))
        value = (weight * np.logaddexp(0, -margin)).sum() + _RIDGE * (numbers[1:] ** 2).sum()
        return value, np.concatenate([[slope.sum()], scores.T @ slope + 2 * _RIDGE * numbers[1:]])

    bounds = [(None, None), *((0, None) if name in _FOR else (None, 0) for name in names)]
    found = minimize(
        loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 5000}
    )
    weights = {name: round(float(value), 3) for name, value in zip(names, found.x[1:], strict=True)}
    logits = [
        sum(weights[name] * getattr(outcome, name) for name in names)
        if isinstance(outcome, Support)
        else -np.inf
        if outcome
        else np.inf
        for outcome in restated
    ]
    return LogisticModel(round(-float(np.quantile(logits, _REJECTED, method="lower")), 3), weights)


def report(
    name: str, statements: Sequence[Statement], outcomes: Sequence[Outcome], model: SupportModel, threshold: float
) -> Table:
    """By kind and half: how many of the false are caught and how many of the true are rejected."""
    rejected = [
        model.probability(outcome) < threshold if isinstance(outcome, Support) else bool(outcome)
        for outcome in outcomes
    ]
    kept = {
        (statement.text, statement.passages)
        for statement, gone in zip(statements, rejected, strict=True)
        if statement.true and not gone
    }
    counts: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for statement, gone in zip(statements, rejected, strict=True):
        for row in rows_of(statement, (statement.origin, statement.passages) in kept):
            counts[row, statement.side].append(gone)
    table = Table(f"rejected, {name}", "first half (fitted on)", "other half")
    for row in ROWS:
        table.add_row(row, *(share_of(counts[row, side]) for side in (0, 1)), end_section=row in ENDS)
    return table


ROWS = (
    *("true: restatements", *(f"true: restatements of {name}" for name in RESTATED), "true: quotes"),
    *(f"false: {kind}" for kind in REQUIRED),
    *("false: these five", "false: these five, of quotes", "false: these five, of restatements"),
    "false: these five, where the true one is kept",
    *(f"false: {kind}" for kind in ("opposite", "exchanged", "grafted", "elsewhere", "carried over")),
)
ENDS = ("true: quotes", "false: date", "false: these five, where the true one is kept")


def rows_of(statement: Statement, true_one_is_kept: bool) -> Iterator[str]:
    if statement.kind == "restatement":
        yield from ("true: restatements", f"true: restatements of {statement.set}")
    elif statement.kind == "quote":
        yield "true: quotes"
    else:
        yield f"false: {statement.kind}"
        if statement.kind in REQUIRED:
            yield "false: these five"
            yield f"false: these five, of {statement.made_from}s"
            if true_one_is_kept:
                yield "false: these five, where the true one is kept"


def share_of(gone: Sequence[bool]) -> str:
    return f"{sum(gone) / len(gone):.3f}  ({sum(gone)} of {len(gone)})" if gone else "-"


async def run(folder: Path, file: Path | None, sample: float) -> None:
    console = Console()
    models = load_encoder(EncoderSettings(), ModelsSettings()), load_span_model(ReaderSettings(), ModelsSettings())
    true = true_statements(folder, models[0])
    chance = random.Random(0)  # noqa: S311
    statements = [
        statement
        for statement in (*true, *false_statements(true))
        if statement.kind in ("restatement", "carried over") or chance.random() < sample
    ]
    worker = InferenceWorker("inference", lambda: Models(*models), capacity=1000)
    try:
        encoder, reader = AsyncEncoder(worker), AsyncReader(worker)
        outcomes = await examined(statements, encoder, reader)
        if file is not None:
            fit(statements, outcomes).save(file)
        model = SupportModel.load(file or SHIPPED)
        threshold = GroundingSettings().threshold
        console.print(report("with encoder and reader", statements, outcomes, model, threshold))
        lexical = [replace(found, cosine=None) if isinstance(found, Support) else found for found in outcomes]
        console.print(report("by words alone", statements, lexical, model, threshold))
        console.print(await beside_the_question(true, Grounding(encoder, reader, GroundingSettings())))
        console.print(await speed(true, encoder, reader))
    finally:
        await worker.close()


async def beside_the_question(true: Sequence[Statement], grounding: Grounding) -> Table:
    """Of whole reference answers, and of other sentences of the passages that answer: how many count as no answer."""
    references: dict[tuple[str, str], list[Statement]] = defaultdict(list)
    for statement in true:
        if statement.kind == "restatement":
            references[statement.set, statement.question].append(statement)
    counts: dict[str, list[list[bool]]] = {name: [[], []] for name in RESTATED}
    chance = random.Random(0)  # noqa: S311 - chance that can be repeated
    for (name, question), said in references.items():
        reference = " ".join(statement.text for statement in said)
        passages = nearest(f"{question} {reference}", said[0].passages)
        checking = grounding.checking(passages, question)
        found = (text for passage in passages for text in statements_of(plain(passage.passage.body)))
        others = [text for text in found if share_of_words(stems(text), stems(reference)) < _ANOTHER]
        counts[name][0].append(not await checking.answers(reference))
        if others:
            counts[name][1].append(not await checking.answers(chance.choice(others)))
    table = Table("replaced as no answer to the question", "reference answers", "other sentences of the passages")
    for name, gone in counts.items():
        table.add_row(name, *map(share_of, gone))
    return table


# A sentence that shares fewer of its words with a reference answer says something else.
_ANOTHER = 0.3


async def speed(true: Sequence[Statement], encoder: AsyncEncoder, reader: AsyncReader) -> Table:
    """Milliseconds a sentence, one draft at a time: the sentences of a reference answer together."""
    drafts: dict[tuple[tuple[FoundPassage, ...], str], list[str]] = defaultdict(list)
    for statement in true:
        if statement.kind == "restatement":
            drafts[statement.passages, statement.question].append(statement.text)
    table = Table("milliseconds a sentence", "p50", "p95")
    for name, parts in (("words only", (None, None)), ("with encoder and reader", (encoder, reader))):
        grounding = Grounding(*parts, GroundingSettings())
        taken = []
        for (passages, question), texts in list(drafts.items())[:100]:
            started = time.perf_counter()
            await grounding.check("\n".join(texts), passages, question)
            taken.append((time.perf_counter() - started) * 1000 / len(texts))
        table.add_row(name, f"{statistics.median(taken):.1f}", f"{statistics.quantiles(taken, n=20)[18]:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, default=Path(__file__).parents[2] / "shared" / "eval", metavar="FOLDER")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="fit the weights and write them to this file")
    parser.add_argument(
        "--sample", type=float, default=1.0, help="the share of quotes and of most false statements that is examined"
    )
    options = parser.parse_args()
    asyncio.run(run(options.sets, options.fit, options.sample))


if __name__ == "__main__":
    main()
