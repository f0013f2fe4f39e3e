"""Compute the figures of an evaluation from its results. Pure arithmetic, without the engine, files or output.

Texts are compared as SQuAD's scorer compares them: lower case, without punctuation and articles. A figure is a mean over the
questions that it applies to (span figures need a gold span), and None if it applies to none.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from bot.core.messages import Answer, Outcome, Phrased
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult

# An answer with this much overlap with a gold span is right.
_SAME = 0.5  # token F1


# --- texts ------------------------------------------------------------------------------------------------------------

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_CHINESE = re.compile(r"[㐀-䶿一-鿿豈-﫿]")


def normalised(text: str) -> list[str]:
    """Return the words of a text as SQuAD compares them.

    Beyond SQuAD, all Unicode punctuation is removed, and each Chinese character is a word, as there are no spaces.
    """
    without_punctuation = "".join(character for character in text.lower() if not _is_punctuation(character))
    return _CHINESE.sub(r" \g<0> ", _ARTICLE.sub(" ", without_punctuation)).split()


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def exact_match(said: str, gold: str) -> bool:
    """Whether two texts are the same once normalised."""
    return normalised(said) == normalised(gold)


def token_f1(said: str, gold: str) -> float:
    """Return the F1 score of the words that two texts share, from 0 to 1; 0 if either has no words."""
    said_words, gold_words = normalised(said), normalised(gold)
    shared = (Counter(said_words) & Counter(gold_words)).total()
    return 2 * shared / (len(said_words) + len(gold_words)) if shared else 0.0


def contains(said: str, gold: str) -> bool:
    """Whether a text contains the gold words consecutively; False if the gold text has no words."""
    words = normalised(gold)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(normalised(said))} "


# --- right or wrong ---------------------------------------------------------------------------------------------------


def can_be_graded(question: EvaluationQuestion) -> bool:
    """Whether an answer can be graded: the question has gold spans or keys, or any answer to it would be wrong."""
    return not question.kind.expects_answer or bool(question.answers or question.key)


def is_right(result: EvaluationResult) -> bool:
    """Whether an answer was given that is right and cites a gold document, if any is known.

    An answer is right if its text contains a gold span, if its text or span has a token F1 of at least 0.5 with one, or, for a
    question with keys, if it `helps`.
    """
    return says_right(result.question, result.answer)


def says_right(question: EvaluationQuestion, answer: Answer) -> bool:
    """Whether this answer to the question is right, as defined by `is_right`."""
    if not answer.answered or not question.kind.expects_answer:
        return False
    if question.key:
        return helps(question, answer)
    cited = {citation.document for citation in answer.citations}
    if question.doc_ids and not cited & question.doc_ids:
        return False
    return any(_says(answer.span or "", answer.text, gold) for gold in question.answers or ())


def is_useful(result: EvaluationResult) -> bool:
    """Whether the answer is right, or would be if it weren't a suggestion."""
    answer = result.answer
    sure = replace(answer, outcome=Outcome.ANSWERED) if answer.outcome is Outcome.SUGGESTED else answer
    return says_right(result.question, sure)


def helps(question: EvaluationQuestion, answer: Answer) -> bool:
    """Whether the text of an answer or suggestion contains one of the question's keys, or all if `key_all`.

    White space and Markdown's marks are folded, except for a key that consists only of them.
    """
    held = [_holds(answer.text, key) for key in question.key]
    return bool(held) and (all(held) if question.key_all else any(held))


def _holds(text: str, key: str) -> bool:
    folded = _without_marks(key).strip()
    return folded in _without_marks(text) if folded else key.strip() in text


def _without_marks(text: str) -> str:
    return re.sub(r"[\s*_`>|\\]+", " ", text).lower()


def _says(span: str, text: str, gold: str) -> bool:
    return contains(text, gold) or max(token_f1(span, gold), token_f1(text, gold)) >= _SAME


# --- figures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a question, or their means over several: each between 0 and 1, or None if it doesn't apply.

    `hit_at_1`, `hit_at_5`: a gold document was found first, or among the first 5. `mrr_at_10`: 1 / rank of the first gold
    document, 0 beyond rank 10. `span_*` compare the span of the answer, `answer_*` its whole text, with the most similar gold
    span, and `answer_f1` with the reference if there is no span. Declined questions score 0. `answered`: the share of questions
    that were answered, which is good or bad depending on the kind.
    """

    hit_at_1: float | None
    hit_at_5: float | None
    mrr_at_10: float | None
    span_exact: float | None
    span_f1: float | None
    answer_exact: float | None
    answer_f1: float | None
    answered: float | None


@dataclass(frozen=True, slots=True)
class MeanScores:
    """The mean scores of some questions."""

    questions: int
    scores: Scores


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """The figures of a threshold: the share of questions answered, and the share of these answers that are right."""

    threshold: float
    coverage: float
    precision: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Questions of similar confidence: the mean confidence, the share of right answers, and the number of questions."""

    confidence: float
    right: float
    questions: int


@dataclass(frozen=True, slots=True)
class PhrasedFigures:
    """The answers of a language model, compared with the quotations that they replace.

    `outcomes`: the share of drafts that were kept, trimmed, replaced, or that failed. `reasons`: the number of drafts with each
    kind of objection. `generated_f1`: the mean `answer_f1` of the generated texts that were shown, and `quoted_f1` that of the
    quotations for the same questions.
    """

    drafts: int
    outcomes: Mapping[str, float]
    reasons: Mapping[str, int]
    generated_f1: float | None
    quoted_f1: float | None


@dataclass(frozen=True, slots=True)
class HelpShares:
    """The outcomes of questions to a help desk, as shares of them.

    `useful` and `wrong` count answers, `suggested_useful` and `suggested_wrong` suggestions.
    """

    questions: int
    useful: float
    wrong: float
    suggested_useful: float
    suggested_wrong: float
    declined: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The outcome of an evaluation. Shares are between 0 and 1, latencies in milliseconds; None: does not apply.

    `auroc`: the probability that an answerable question got a higher confidence than an unanswerable one. `precision`: the
    share of right answers among those given, as far as they `can_be_graded`. `precision_at_coverage` has it for every
    threshold, the highest first; coverage is the share of the gradable questions that are answered. `forced_span_f1`: the mean
    span F1 of questions with a gold span at a threshold of 0. `reliability` and `calibration_error` compare the confidence with
    the share of answers that are, or would have been, right; the error is their mean distance (ECE, ten bins). `phrased`: the
    drafts of a language model, None if there are none. `help`: the questions with keys, by subtype and for "all" together.
    """

    overall: MeanScores
    kinds: Mapping[str, MeanScores]
    auroc: float | None
    precision: float | None
    precision_at_coverage: tuple[CoveragePoint, ...]
    forced_span_f1: float | None
    reliability: tuple[ReliabilityBin, ...]
    calibration_error: float | None
    p50_ms: float | None
    p95_ms: float | None
    phrased: PhrasedFigures | None = None
    help: Mapping[str, HelpShares] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(results: Sequence[EvaluationResult]) -> Figures:
    """Return the figures of a run, over all questions and for each kind. Blocking, but short."""
    scored = [(result.question.kind, _score(result)) for result in results]
    by_kind = {kind: [score for other, score in scored if other is kind] for kind in QuestionKind}
    given = [result for result in results if result.answer.answered and can_be_graded(result.question)]
    bins = reliability(results)
    p50, p95 = _percentiles([result.latency_ms for result in results], (50, 95))
    return Figures(
        overall=_row([score for _, score in scored]),
        kinds={kind.value: _row(scores) for kind, scores in by_kind.items() if scores},
        auroc=_auroc(results),
        precision=_mean(float(is_right(result)) for result in given),
        precision_at_coverage=_precision_at_coverage(results),
        forced_span_f1=_mean(_forced_span_f1(result) for result in results),
        reliability=bins,
        calibration_error=calibration_error(bins),
        p50_ms=p50,
        p95_ms=p95,
        phrased=phrased(results),
        help=help_shares(results),
    )


def help_shares(results: Sequence[EvaluationResult]) -> dict[str, HelpShares]:
    """Return the shares by subtype, and for "all" questions with keys; empty if no question has keys."""
    asked = [result for result in results if result.question.kind.expects_answer and result.question.key]
    subtypes = sorted({result.question.subtype for result in asked if result.question.subtype})
    groups = {subtype: [result for result in asked if result.question.subtype == subtype] for subtype in subtypes}
    return {name: _help_shares(group) for name, group in (groups | {"all": asked}).items() if group}


def _help_shares(results: Sequence[EvaluationResult]) -> HelpShares:
    counts = Counter((result.answer.outcome, helps(result.question, result.answer)) for result in results)
    total = len(results)
    sure, unsure = Outcome.ANSWERED, Outcome.SUGGESTED
    others = sum(count for (outcome, _), count in counts.items() if outcome not in (sure, unsure))
    return HelpShares(
        questions=total,
        useful=counts[sure, True] / total,
        wrong=counts[sure, False] / total,
        suggested_useful=counts[unsure, True] / total,
        suggested_wrong=counts[unsure, False] / total,
        declined=others / total,
    )


def _row(scores: Sequence[Scores]) -> MeanScores:
    means = {field.name: _mean(getattr(score, field.name) for score in scores) for field in fields(Scores)}
    return MeanScores(len(scores), Scores(**means))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _score(result: EvaluationResult) -> Scores:
    answer = result.answer
    span, text = (answer.span or "", answer.text) if answer.answered else ("", "")
    expected = result.question.kind.expects_answer
    golds = (result.question.answers or ()) if expected else ()
    rank = _reciprocal_rank(result)
    return Scores(
        hit_at_1=None if rank is None else float(rank == 1),
        hit_at_5=None if rank is None else float(rank >= 1 / 5),
        mrr_at_10=rank,
        span_exact=max((float(exact_match(span, gold)) for gold in golds), default=None),
        span_f1=max((token_f1(span, gold) for gold in golds), default=None),
        answer_exact=max((float(exact_match(text, gold)) for gold in golds), default=None),
        answer_f1=_answer_f1(result.question, text),
        answered=float(answer.answered),
    )


def _answer_f1(question: EvaluationQuestion, text: str) -> float | None:
    """Return the best token F1 of a text with a gold span, else with the reference; None if neither is known."""
    if not question.kind.expects_answer:
        return None
    references = question.answers or ((question.reference,) if question.reference else ())
    return max((token_f1(text, gold) for gold in references), default=None)


def phrased(results: Sequence[EvaluationResult]) -> PhrasedFigures | None:
    """Return the figures of the drafts of these results; None without drafts."""
    drafts = [(result, result.answer.phrasing) for result in results if result.answer.phrasing]
    if not drafts:
        return None
    shown = [result for result, phrasing in drafts if phrasing.shown]
    return PhrasedFigures(
        drafts=len(drafts),
        outcomes={
            outcome.value: sum(phrasing.outcome is outcome for _, phrasing in drafts) / len(drafts)
            for outcome in Phrased
        },
        reasons=dict(Counter(reason for _, phrasing in drafts for reason in phrasing.reasons).most_common()),
        generated_f1=_mean(_answer_f1(result.question, result.answer.text) for result in shown),
        quoted_f1=_mean(_answer_f1(result.question, result.forced.text) for result in shown if result.forced),
    )


def _reciprocal_rank(result: EvaluationResult) -> float | None:
    """Return 1 / rank of the first gold document, 0 if none was found, or None if none is known."""
    question = result.question
    if not question.kind.expects_answer or not question.doc_ids:
        return None
    ranks = (rank for rank, path in enumerate(result.answer.retrieved[:10], start=1) if path in question.doc_ids)
    return next((1 / rank for rank in ranks), 0.0)


def _auroc(results: Sequence[EvaluationResult]) -> float | None:
    """Return the AUROC, or None unless there are both answerable and unanswerable questions."""
    from sklearn.metrics import roc_auc_score  # slow to import

    expected = [result.question.kind.expects_answer for result in results]
    if len(set(expected)) < 2:
        return None
    return float(roc_auc_score(expected, [result.answer.confidence for result in results]))


def _forced_span_f1(result: EvaluationResult) -> float | None:
    golds = result.question.answers if result.question.kind.expects_answer else None
    if not golds:
        return None
    said = result.forced.span if result.forced else None
    return max(token_f1(said or "", gold) for gold in golds)


def _precision_at_coverage(results: Sequence[EvaluationResult]) -> tuple[CoveragePoint, ...]:
    """Return a point for each confidence of an answer, given or withheld, the highest first."""
    gradable = [result for result in results if can_be_graded(result.question)]
    graded = sorted(_graded(gradable), key=lambda grade: -grade[0])
    points: list[CoveragePoint] = []
    right = 0
    for count, (threshold, is_right) in enumerate(graded, start=1):
        right += is_right
        if points and points[-1].threshold == threshold:  # one point for equal confidences
            points.pop()
        points.append(CoveragePoint(threshold, count / len(gradable), right / count))
    return tuple(points)


def reliability(results: Sequence[EvaluationResult]) -> tuple[ReliabilityBin, ...]:
    """Return confidence and share of right answers in ten bins of equal width, without empty ones."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in _graded(result for result in results if can_be_graded(result.question)):
        bins.setdefault(min(9, int(10 * confidence)), []).append((confidence, right))
    return tuple(
        ReliabilityBin(
            sum(confidence for confidence, _ in graded) / len(graded),
            sum(right for _, right in graded) / len(graded),
            len(graded),
        )
        for _, graded in sorted(bins.items())
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Return the expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 5)."""
    questions = sum(each.questions for each in bins)
    return sum(each.questions * abs(each.confidence - each.right) for each in bins) / questions if questions else None


def _graded(results: Iterable[EvaluationResult]) -> list[tuple[float, bool]]:
    """Return the confidence of each answer, given or withheld, and whether it is right."""
    return [
        (result.forced.confidence, says_right(result.question, result.forced)) for result in results if result.forced
    ]


def _percentiles(values: Sequence[float], percents: Sequence[int]) -> list[float | None]:
    return [float(np.percentile(values, percent)) if values else None for percent in percents]
