"""The figures, each worked out by hand beside its test."""

import json
from dataclasses import replace

import pytest
from evaluation_samples import OFFTOPIC, UNANSWERABLE, answerable, answered, declined, result, suggested

from bot.core.messages import Answer, Outcome, Phrased, Phrasing
from bot.evaluation.metrics import (
    CoveragePoint,
    HelpShares,
    ReliabilityBin,
    calibration_error,
    can_be_graded,
    contains,
    exact_match,
    help_shares,
    helps,
    is_right,
    measure,
    normalised,
    reliability,
    says_right,
    token_f1,
)
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  Cat's hat.", ["cats", "hat"]),
        ("An apple a day\n(theory)", ["apple", "day", "theory"]),
        ("**bold** `code`", ["bold", "code"]),
        ("“Ünïcode” – …", ["ünïcode"]),
        ("100%氧气", ["100", "氧", "气"]),
        ("the", []),
    ],
)
def test_texts_are_normalised_as_squad_does(text: str, words: list[str]) -> None:
    assert normalised(text) == words


def test_an_exact_match_ignores_case_articles_and_punctuation() -> None:
    assert exact_match("The U.S.", "us")
    assert not exact_match("the US army", "US")


@pytest.mark.parametrize(
    ("said", "gold", "f1"),
    [
        ("red green", "green blue", 0.5),  # one of two, one of two
        ("red red green", "red", 0.5),  # precision 1/3, recall 1: 2 * 1/3 / (4/3)
        ("the red", "red", 1.0),
        ("red", "blue", 0.0),
        ("", "", 0.0),
    ],
)
def test_token_f1(said: str, gold: str, f1: float) -> None:
    assert token_f1(said, gold) == pytest.approx(f1)


def test_containing_is_by_whole_words() -> None:
    assert contains("Then run **the** setup!", "run setup")
    assert not contains("The application.", "us")
    assert not contains("Then run.", "the")


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (answerable("run setup"), answered("run setup now then"), True),  # contains it
        (answerable("run setup quickly or else"), answered("run setup"), True),  # F1 4/7
        (answerable("one two three four five six seven"), answered("one two"), False),  # F1 4/9
        (answerable("nothing alike", "setup"), answered("setup"), True),  # the second gold
        (answerable("setup"), answered("setup", doc="other.md"), False),
        (answerable("setup"), declined(), False),
        (answerable("setup"), answered("say", text="say, then run the setup"), True),  # the text around the span
        (replace(answerable("setup"), doc_ids=frozenset()), answered("setup", doc="any.md"), True),
        (replace(answerable(), answers=None, reference="setup"), answered("setup"), False),
        (UNANSWERABLE, answered("setup"), False),
    ],
)
def test_right_is_from_the_right_document_and_says_the_same(
    question: EvaluationQuestion, answer: Answer, right: bool
) -> None:
    assert is_right(result(question, answer)) is right


# --- questions to a help desk -----------------------------------------------------------------------------------------


def wanting(
    *key: str, subtype: str = "howto", key_all: bool = False, kind: QuestionKind = QuestionKind.ANSWERABLE
) -> EvaluationQuestion:
    """A question whose useful answers are known by their key words."""
    return EvaluationQuestion(
        "h", "How?", kind, None, frozenset({"gold.md"}), subtype=subtype, key=key, key_all=key_all
    )


@pytest.mark.parametrize(
    ("question", "text", "useful"),
    [
        (wanting("sluice --open"), "Run `sluice  --open` first.", True),
        (wanting("Sluice --OPEN"), "run\n\n    sluice\n--open", True),
        (wanting("left valve"), "Turn the **left** _valve_.", True),
        (wanting("07:30 | 18:00"), "| Monday | 07:30 | 18:00 |", True),
        (wanting("valve", "tap"), "Turn the tap.", True),
        (wanting("valve", "tap", key_all=True), "Turn the tap.", False),
        (wanting("valve", "tap", key_all=True), "Turn the valve, then the tap.", True),
        (wanting("valve"), "Nothing about it.", False),
        (wanting("\\"), "Nothing about it.", False),
        (wanting("\\"), "Put a \\ before it.", True),
        (wanting("valve", "|", key_all=True), "Turn the valve.", False),
        (wanting(), "Anything.", False),
    ],
)
def test_an_answer_helps_if_its_text_holds_the_keys(question: EvaluationQuestion, text: str, useful: bool) -> None:
    """White space, case and Markdown's marks don't count; one key is enough, except where all are needed."""
    assert helps(question, answered("x", text=text)) is useful
    assert helps(question, suggested(text)) is useful


def test_where_there_are_keys_they_decide_what_is_right() -> None:
    """Wherever it is quoted from, for another page may say the same; a suggestion is no answer that could be right."""
    question = wanting("valve")
    assert says_right(question, answered("x", text="the valve", doc="other.md"))
    assert not says_right(question, answered("x", text="the tap"))
    assert not says_right(question, suggested("the valve"))


def test_what_became_of_questions_to_a_help_desk_is_counted_by_subtype() -> None:
    """By hand: of four how-tos one each is useful, wrong, suggested and useful, suggested and not; the fact is declined."""
    results = [
        result(wanting("valve"), answered("x", text="the valve")),
        result(wanting("valve"), answered("x", text="the tap")),
        result(wanting("valve"), suggested("the valve")),
        result(wanting("valve", kind=QuestionKind.FOLLOWUP), suggested("the tap")),
        result(wanting("9 bar", subtype="fact"), declined()),
        result(wanting("valve", kind=QuestionKind.UNANSWERABLE), answered("x", text="the valve")),
        result(answerable("valve"), answered("valve")),
    ]
    shares = help_shares(results)
    assert shares == {
        "fact": HelpShares(1, 0.0, 0.0, 0.0, 0.0, 1.0),
        "howto": HelpShares(4, 0.25, 0.25, 0.25, 0.25, 0.0),
        "all": HelpShares(5, 0.2, 0.2, 0.2, 0.2, 0.2),
    }
    assert measure(results).help == shares


def test_without_keys_there_are_no_such_shares() -> None:
    assert help_shares([result(answerable("x"), answered("x")), result(OFFTOPIC, declined())]) == {}


# --- figures ----------------------------------------------------------------------------------------------------------


def test_documents_are_ranked() -> None:
    """Ranks 1, 2, 6, none and beyond 10: hit@1 1/5, hit@5 2/5, MRR (1 + 1/2 + 1/6) / 5 = 1/3."""
    others = tuple(f"{number}.md" for number in range(11))
    found = [
        ("gold.md",),
        ("0.md", "gold.md", "1.md"),
        (*others[:5], "gold.md"),
        others[:3],
        (*others[:10], "gold.md"),
    ]
    figures = measure([result(answerable("x"), declined(retrieved=retrieved)) for retrieved in found])
    assert figures.overall.scores.hit_at_1 == pytest.approx(1 / 5)
    assert figures.overall.scores.hit_at_5 == pytest.approx(2 / 5)
    assert figures.overall.scores.mrr_at_10 == pytest.approx(1 / 3)


def test_rank_five_is_a_hit_and_any_gold_document_counts() -> None:
    question = replace(answerable("x"), doc_ids=frozenset({"a.md", "b.md"}))
    retrieved = ("1.md", "2.md", "3.md", "4.md", "b.md", "a.md")
    scores = measure([result(question, declined(retrieved=retrieved))]).overall.scores
    assert (scores.hit_at_1, scores.hit_at_5, scores.mrr_at_10) == (0.0, 1.0, 0.2)


def test_texts_are_scored_against_the_nearest_gold_span() -> None:
    """Exact once of three. Span F1: 1, 1/2 (one of two words each), 0 for the declined one."""
    figures = measure(
        [
            result(answerable("blue", "the setup"), answered("Setup.", text="Run Setup.")),
            result(answerable("red green", "blue"), answered("green grass")),
            result(answerable("The documents don't answer this."), declined()),
        ]
    )
    scores = figures.overall.scores
    assert scores.span_exact == pytest.approx(1 / 3)
    assert scores.span_f1 == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.answer_exact == 0.0
    assert scores.answer_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_a_question_without_spans_is_scored_against_its_reference() -> None:
    question = replace(answerable(), answers=None, reference="run it twice")
    scores = measure([result(question, answered("run it"))]).overall.scores
    assert scores.answer_f1 == pytest.approx(4 / 5)
    assert (scores.span_exact, scores.span_f1, scores.answer_exact) == (None, None, None)


def test_what_needs_no_answer_has_only_a_share_of_answers() -> None:
    """Not even where the file names a reference, which then says why there is no answer."""
    question = replace(UNANSWERABLE, reference="It isn't said.", doc_ids=frozenset({"gold.md"}))
    scores = measure([result(question, answered("x")), result(question, declined())]).kinds["unanswerable"].scores
    assert scores.answered == 0.5
    assert (scores.hit_at_1, scores.mrr_at_10, scores.span_f1, scores.answer_f1) == (None, None, None, None)


def test_kinds_have_rows_of_their_own() -> None:
    followup = replace(answerable("x"), kind=QuestionKind.FOLLOWUP)
    small_talk = Answer(Outcome.SMALL_TALK, "Hello!", "ref")
    figures = measure(
        [
            result(answerable("x"), answered("x")),
            result(answerable("x"), declined()),
            result(followup, answered("x")),
            result(OFFTOPIC, small_talk),
        ]
    )
    assert {kind: (row.questions, row.scores.answered) for kind, row in figures.kinds.items()} == {
        "answerable": (2, 0.5),
        "followup": (1, 1.0),
        "offtopic": (1, 0.0),
    }
    assert (figures.overall.questions, figures.overall.scores.answered) == (4, 0.5)


def test_auroc_counts_the_pairs_in_the_right_order() -> None:
    """Of the pairs (0.9, 0.5), (0.9, 0.2), (0.5, 0.5), (0.5, 0.2) three are right and one is even: 3.5 / 4."""
    figures = measure(
        [
            result(answerable("x"), declined(0.9)),
            result(replace(answerable("x"), kind=QuestionKind.FOLLOWUP), declined(0.5)),
            result(UNANSWERABLE, declined(0.5)),
            result(OFFTOPIC, declined(0.2)),
        ]
    )
    assert figures.auroc == pytest.approx(3.5 / 4)


def test_auroc_needs_both_classes() -> None:
    assert measure([result(answerable("x"), answered("x"))]).auroc is None


def test_what_would_have_been_answered_is_judged_like_an_answer() -> None:
    """Though the bot declined."""
    withheld = result(answerable("setup"), declined(), forced=answered("setup", confidence=0.1))
    assert not is_right(withheld)
    assert withheld.forced is not None and says_right(withheld.question, withheld.forced)


@pytest.mark.parametrize(
    ("question", "graded"),
    [
        (answerable("x"), True),
        (UNANSWERABLE, True),  # any answer is wrong
        (OFFTOPIC, True),
        (replace(answerable(), answers=None, reference="x"), False),
        (EvaluationQuestion("k", "What?", QuestionKind.ANSWERABLE, key=("x",)), True),
    ],
)
def test_without_gold_spans_only_a_needless_answer_can_be_graded(question: EvaluationQuestion, graded: bool) -> None:
    assert can_be_graded(question) is graded


def test_precision_falls_as_coverage_grows() -> None:
    """Six can be graded. Three answers are given, of which the surest and one of two at 0.6 are right; two are withheld, of
    which the surer is right; for the last question nothing was found at any threshold."""
    figures = measure(
        [
            result(answerable("x"), answered("x", confidence=0.9)),
            result(answerable("x"), answered("x", confidence=0.6)),
            result(OFFTOPIC, answered("x", confidence=0.6)),
            result(answerable("x"), declined(0.3), forced=answered("x", confidence=0.3)),
            result(UNANSWERABLE, declined(0.2), forced=answered("x", confidence=0.2)),
            result(answerable("x"), declined(0.0)),
            result(replace(answerable(), answers=None), answered("x", confidence=1.0)),  # can't be graded
        ]
    )
    assert figures.precision == pytest.approx(2 / 3)
    assert figures.precision_at_coverage == (
        CoveragePoint(0.9, 1 / 6, 1.0),
        CoveragePoint(0.6, 3 / 6, pytest.approx(2 / 3)),
        CoveragePoint(0.3, 4 / 6, 3 / 4),
        CoveragePoint(0.2, 5 / 6, 3 / 5),
    )


def test_there_is_no_precision_without_answers() -> None:
    figures = measure([result(answerable("x"), declined())])
    assert figures.precision is None
    assert figures.precision_at_coverage == ()
    assert (figures.reliability, figures.calibration_error) == ((), None)


def test_the_forced_span_counts_also_where_it_was_withheld() -> None:
    """F1 1 for the answer, 1/2 for the one withheld, 0 where nothing was found; the others have no right span: 1/2."""
    figures = measure(
        [
            result(answerable("red green"), answered("red green")),
            result(answerable("green blue"), declined(), forced=answered("red green")),
            result(answerable("red"), declined()),
            result(UNANSWERABLE, declined(), forced=answered("red")),
            result(replace(answerable(), answers=None, reference="red"), answered("red")),
        ]
    )
    assert figures.forced_span_f1 == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert figures.overall.scores.span_f1 == pytest.approx((1 + 0 + 0) / 3)


def test_there_is_no_forced_span_without_right_ones() -> None:
    assert measure([result(UNANSWERABLE, declined(), forced=answered("red"))]).forced_span_f1 is None


def test_confidence_is_compared_with_what_is_right() -> None:
    """Two bins. Around 0.95 one of three is right, a distance of 2.86 / 3 - 1 / 3 = 0.62; at 0.35 the only one is, a distance
    of 0.65. The mean over the questions is (3 * 0.62 + 0.65) / 4 = 0.6275."""
    figures = measure(
        [
            result(answerable("x"), answered("x", confidence=0.95)),
            result(UNANSWERABLE, answered("x", confidence=0.91)),
            result(answerable("x"), answered("y", confidence=1.0)),
            result(answerable("x"), declined(0.35), forced=answered("x", confidence=0.35)),
            result(answerable("x"), declined(0.0)),  # nothing was found
            result(replace(answerable(), answers=None), answered("x", confidence=0.5)),  # can't be graded
        ]
    )
    assert figures.reliability == (
        ReliabilityBin(0.35, 1.0, 1),
        ReliabilityBin(pytest.approx(2.86 / 3), pytest.approx(1 / 3), 3),
    )
    assert figures.calibration_error == pytest.approx(0.6275)


def test_bins_begin_at_tenths() -> None:
    """A confidence of exactly 0.5 is in the bin above, and one of 1 in the uppermost bin, not in one of its own."""
    bins = reliability([result(answerable("x"), answered("x", confidence=c)) for c in (0.0, 0.49, 0.5, 0.59, 0.9, 1.0)])
    assert [each.questions for each in bins] == [1, 1, 2, 2]


def test_a_confidence_that_keeps_its_promise_has_no_error() -> None:
    """Three of four are right at 0.75; and of nothing there is no error."""
    results = [result(answerable("x"), answered(said, confidence=0.75)) for said in "xxxy"]
    assert calibration_error(reliability(results)) == 0.0
    assert calibration_error([]) is None


def test_latency_percentiles_are_interpolated() -> None:
    figures = measure([result(answerable("x"), declined(), latency_ms=float(ms)) for ms in (10, 20, 30, 40, 50)])
    assert figures.p50_ms == pytest.approx(30)
    assert figures.p95_ms == pytest.approx(48)  # 80 % of the way from 40 to 50


def phrased(text: str, outcome: Phrased, *reasons: str, quoted: str = "red green") -> EvaluationResult:
    """An answer of which a language model has written a draft; `text` is what was shown."""
    quotation = answered("red", text=quoted)
    given = replace(quotation, text=text, phrasing=Phrasing("m", outcome, reasons))
    return result(answerable("red"), given, forced=quotation)


def test_generated_answers_are_measured_beside_the_quotations_that_they_replace() -> None:
    """By hand: one draft is as good as can be, one is no better than its quotation (F1 2/3), and two were not shown."""
    figures = measure(
        [
            phrased("red", Phrased.KEPT),
            phrased("red blue", Phrased.TRIMMED, "number"),
            phrased("red green", Phrased.REPLACED, "number", "name"),
            phrased("red green", Phrased.FAILED, "the model hangs"),
            result(answerable("red"), answered("red")),
        ]
    ).phrased
    assert figures is not None
    assert figures.drafts == 4
    assert figures.outcomes == {"kept": 0.25, "trimmed": 0.25, "replaced": 0.25, "failed": 0.25}
    assert figures.reasons == {"number": 2, "name": 1, "the model hangs": 1}
    assert figures.generated_f1 == pytest.approx((1 + 2 / 3) / 2)
    assert figures.quoted_f1 == pytest.approx(2 / 3)


def test_where_no_model_wrote_there_are_no_figures_on_drafts() -> None:
    assert measure([result(answerable("red"), answered("red"))]).phrased is None


def test_figures_of_nothing_are_empty() -> None:
    figures = measure([])
    assert (figures.overall.questions, figures.kinds, figures.p50_ms) == (0, {}, None)


def test_figures_are_json() -> None:
    figures = measure([result(answerable("x"), answered("x")), result(UNANSWERABLE, declined())])
    read = json.loads(json.dumps(figures.to_json()))
    assert read["reliability"] == [{"confidence": 0.9, "right": 1.0, "questions": 1}]
    assert (read["forced_span_f1"], read["calibration_error"]) == (1.0, pytest.approx(0.1))
    assert read["kinds"]["answerable"]["scores"]["span_exact"] == 1.0
    assert read["precision_at_coverage"] == [{"threshold": 0.9, "coverage": 0.5, "precision": 1.0}]
    assert (read["overall"]["questions"], read["auroc"]) == (2, 1.0)
