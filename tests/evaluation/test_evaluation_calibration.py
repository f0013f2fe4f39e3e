"""Fitting the confidence: from judged answers to a probability, on one half of the articles, measured on the other."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_samples import answered, declined, result
from rich.console import Console

from bot.core.errors import BotError
from bot.engine.confidence import Calibration, Features
from bot.engine.logistic import LogisticModel
from bot.evaluation.calibration import fit, halves_by_article
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult
from bot.evaluation.table import render_calibration

NOTHING_TO_TELL = Features(0.0, 0.0, 0.0, 0.0)


def judged(
    number: int,
    right: bool,
    features: Features = NOTHING_TO_TELL,
    kind: QuestionKind = QuestionKind.ANSWERABLE,
    doc: str | None = None,
) -> EvaluationResult:
    """The result of a question of its own, about a document of its own."""
    doc = f"{number}.md" if doc is None else doc
    golds = ("right",) if kind.expects_answer else ()
    question = EvaluationQuestion(f"q{number}", "What?", kind, golds, frozenset({doc} if doc else ()))
    said = answered("right" if right else "wrong", doc=doc or "any.md", confidence=0.3)
    return result(question, declined(0.3), forced=said, features=features)


def about(*documents: str, related: Sequence[str] = ()) -> list[EvaluationResult]:
    """A question about each of these documents, and then one to which each of `related` only looks right."""
    questions = [
        *(
            EvaluationQuestion(f"q{n}", "?", QuestionKind.ANSWERABLE, ("x",), frozenset({d}))
            for n, d in enumerate(documents)
        ),
        *(
            EvaluationQuestion(f"r{n}", "?", QuestionKind.UNANSWERABLE, (), related=frozenset({d}))
            for n, d in enumerate(related)
        ),
    ]
    return [result(question, declined()) for question in questions]


def side(halves: tuple[list[EvaluationResult], list[EvaluationResult]], document: str) -> set[int]:
    """On which sides the questions about a document are."""
    return {
        number
        for number, half in enumerate(halves)
        for r in half
        if document in r.question.doc_ids | r.question.related
    }


# --- the fit ----------------------------------------------------------------------------------------------------------


def test_the_weights_that_made_the_answers_right_are_found_again() -> None:
    """Answers drawn with known odds: the weights come out to about a standard error or two, and the confidence is true."""
    truth = LogisticModel(-3.0, {"relevance": 0.5, "lead": 2.0, "retrieval": 4.0})
    chance = random.Random(1)
    results = []
    for number in range(6000):
        found = Features(chance.uniform(-6, 6), chance.random(), chance.random(), 0.0)
        results.append(judged(number, chance.random() < truth.probability(found), found))
    fitted = fit({"set": results})
    model = fitted.calibration.right
    assert model.intercept == pytest.approx(-3.0, abs=0.4)
    assert model.weights["retrieval"] == pytest.approx(4.0, abs=0.5)
    assert model.weights["lead"] == pytest.approx(2.0, abs=0.5)
    assert model.weights["relevance"] == pytest.approx(0.5, abs=0.1)
    assert fitted.calibration.on_topic.probability(NOTHING_TO_TELL) == pytest.approx(1.0)
    assert fitted.errors["set"] < 0.04


def test_no_score_counts_against_an_answer() -> None:
    """One that did so in what was fitted on counts nothing, and the others are as if it had never been there."""
    truth = LogisticModel(-1.0, {"relevance": 0.5, "lead": -1.5, "retrieval": 3.0})
    chance = random.Random(2)
    results = []
    for number in range(3000):
        found = Features(chance.uniform(-6, 6), chance.random(), chance.random(), 0.0)
        results.append(judged(number, chance.random() < truth.probability(found), found))
    fitted = fit({"set": results}).calibration
    assert fitted.right.weights["lead"] == 0.0
    without = [replace(r, features=replace(r.features, lead=0.0)) for r in results if r.features]
    assert fit({"set": without}).calibration == fitted


def test_scores_that_tell_the_wrong_way_round_are_refused() -> None:
    """There is nothing that a confidence could be made of."""
    results = [judged(n, n % 2 == 0, Features(*[n % 2] * 4)) for n in range(400)]
    with pytest.raises(BotError, match="Wrong answers have the better scores: look at the questions"):
        fit({"set": results})


def test_every_set_weighs_the_same() -> None:
    """All of the small one are right and all of the large one wrong: with nothing to tell them apart it is even odds."""
    fitted = fit(
        {
            "small": [judged(n, right=True) for n in range(150)],
            "large": [judged(n, right=False) for n in range(150, 1150)],
        }
    )
    assert fitted.calibration.right.intercept == pytest.approx(0.0, abs=0.001)


def test_every_set_weighs_the_same_in_what_thresholds_give() -> None:
    """All of the small one are right, all of the large one wrong: of both together, half are."""
    fitted = fit(
        {
            "small": [judged(n, right=True) for n in range(150)],
            "large": [judged(n, right=False) for n in range(150, 1150)],
        }
    )
    lowest = fitted.thresholds[0]
    assert (lowest.answered, lowest.right) == (pytest.approx(1.0), pytest.approx(0.5))


def test_a_set_of_unsure_answers_is_half_of_the_questions_however_small() -> None:
    """Of the small one nothing is answered at a threshold that the other reaches."""
    sure, unsure = Features(2.0, 0.0, 0.0, 0.0), Features(-2.0, 0.0, 0.0, 0.0)
    fitted = fit(
        {
            "small": [judged(n, right=False, features=unsure) for n in range(150)],
            "large": [judged(n, right=True, features=sure) for n in range(150, 1150)],
        }
    )
    middle = fitted.thresholds[9]
    assert (middle.answered, middle.right) == (pytest.approx(0.5), pytest.approx(1.0))


def half_right(count: int, features: Features = NOTHING_TO_TELL) -> list[EvaluationResult]:
    return [judged(n, right=n % 2 == 0, features=features) for n in range(count)]


def off_topic(count: int, features: Features = NOTHING_TO_TELL) -> list[EvaluationResult]:
    return [judged(n, False, features, QuestionKind.OFFTOPIC, doc="") for n in range(10_000, 10_000 + count)]


def test_off_topic_questions_teach_the_topic_alone() -> None:
    """However they look, of the questions about the documents as many are right."""
    near, far = Features(0.0, 0.0, 0.0, 0.9), Features(0.0, 0.0, 0.0, 0.1)
    fitted = fit({"set": half_right(400, near) + off_topic(200, far)}).calibration
    assert fitted.right.probability(near) == pytest.approx(0.5, abs=0.01)
    assert fitted.confidence(near) == pytest.approx(0.5, abs=0.02)
    assert fitted.confidence(far) < 0.02


def test_off_topic_questions_weigh_as_much_as_the_others_however_many_there_are() -> None:
    """With nothing to tell them apart it is even odds; a set without any, or of nothing else, says nothing about that."""
    sets = {"set": half_right(300) + off_topic(700), "without": half_right(300), "chatter": off_topic(200)}
    assert fit(sets).calibration.on_topic.intercept == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("count", [0, 10])
def test_few_off_topic_questions_teach_nothing(count: int) -> None:
    """One would weigh as much as all others."""
    near, far = Features(0.0, 0.0, 0.0, 0.9), Features(0.0, 0.0, 0.0, 0.1)
    fitted = fit({"set": half_right(400, near) + off_topic(count, far)}).calibration
    assert fitted.on_topic.probability(far) == pytest.approx(1.0)


def test_each_half_is_measured_by_the_fit_on_the_other() -> None:
    """In one 8 of 10 are right and in the other 4 of 10, so each is told the other's share."""
    one, other = halves_by_article(half_right(800))
    results = [
        judged(int(r.question.id[1:]), right=number % 10 < share)
        for half, share in ((one, 8), (other, 4))
        for number, r in enumerate(half)
    ]
    fitted = fit({"set": results})
    assert fitted.errors == {"set": pytest.approx(0.4, abs=0.01)}
    points = {round(point.threshold, 2): (point.answered, point.right) for point in fitted.thresholds}
    assert list(points) == [round(step / 20, 2) for step in range(1, 20)]
    assert points[0.35] == (1.0, pytest.approx(0.6))
    assert points[0.6] == (0.5, pytest.approx(0.4))
    assert points[0.85] == points[0.95] == (0.0, None)
    assert fitted.calibration.confidence(NOTHING_TO_TELL) == pytest.approx(0.6, abs=0.01)


def test_the_halves_are_of_the_same_size() -> None:
    """Whatever the size of the articles, as long as none is larger than half."""
    halves = halves_by_article([*about(*["long.md"] * 40), *about(*(f"{n}.md" for n in range(45)))])
    assert abs(len(halves[0]) - len(halves[1])) <= 40
    assert min(map(len, halves)) >= 40


def test_only_what_can_be_judged_and_was_found_is_fitted_on() -> None:
    """The numbers stand in the provenance."""
    usable = [judged(n, right=n % 2 == 0) for n in range(400)]
    free = EvaluationQuestion("free", "What?", QuestionKind.ANSWERABLE, None, reference="It depends.")
    unusable = [
        result(free, answered("right"), features=NOTHING_TO_TELL),
        result(usable[0].question, declined(0.0)),
    ]
    calibration = fit({"set": usable + 300 * unusable}).calibration
    assert calibration.provenance["sets"] == {"set": len(usable)}


def test_a_fit_can_be_saved_and_used(tmp_path: Path) -> None:
    """Its file is a calibration like the one that ships with the bot."""
    calibration = fit({"set": half_right(400) + off_topic(100)}).calibration
    calibration.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == calibration


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (300, 0), (0, 300), (300, 40)])
def test_too_few_of_either_are_refused(right: int, wrong: int) -> None:
    """With the numbers, which are those of the half to fit on, and what to add."""
    results = [judged(n, right=n < right) for n in range(right + wrong)]
    half, _ = halves_by_article(results)
    rights = sum(int(r.question.id[1:]) < right for r in half)
    with pytest.raises(BotError, match=rf"There are {rights} right and {len(half) - rights} wrong .*takes 50 of each"):
        fit({"set": results})


# --- the halves -------------------------------------------------------------------------------------------------------


def testhalves_by_article_are_about_equal_and_lose_nothing() -> None:
    """And are the same every time."""
    results = about(*(f"{number}.md" for number in range(400)))
    one, other = halves_by_article(results)
    assert abs(len(one) - len(other)) < 80
    assert sorted(r.question.id for r in one + other) == sorted(r.question.id for r in results)
    assert halves_by_article(list(results)) == (one, other)


def test_questions_about_a_document_stay_together() -> None:
    """Also those to which it only looks right. Fewer than five folders tell no articles apart."""
    documents = [f"set/{number}.md" for number in range(40)]
    halves = halves_by_article(about(*documents, *documents, related=documents))
    assert all(len(side(halves, document)) == 1 for document in documents)
    assert set().union(*(side(halves, document) for document in documents)) == {0, 1}


def test_a_folder_is_an_article_where_there_are_five() -> None:
    """All parts of an article are on one side."""
    folders = [[f"article{number}/{part}.md" for part in range(8)] for number in range(20)]
    halves = halves_by_article(about(*(document for folder in folders for document in folder)))
    sides = [set().union(*(side(halves, document) for document in folder)) for folder in folders]
    assert all(len(each) == 1 for each in sides)
    assert {0} in sides and {1} in sides


def test_a_document_beside_the_folders_is_an_article_of_its_own() -> None:
    """Its questions stay together too."""
    alone = [f"{number}.md" for number in range(10)]
    halves = halves_by_article(about(*(f"article{number}/a.md" for number in range(6)), *alone, *alone, *alone))
    assert all(len(side(halves, document)) == 1 for document in alone)


def test_questions_about_no_document_are_divided_one_by_one() -> None:
    """There is nothing that could stand on both sides."""
    one, other = halves_by_article([judged(n, right=False, kind=QuestionKind.OFFTOPIC, doc="") for n in range(100)])
    assert min(len(one), len(other)) > 25


def test_a_set_without_results_has_no_error() -> None:
    """Nothing measured is no perfect result, and is shown as nothing."""
    nothing_found = [result(one.question, declined(0.0)) for one in half_right(2)]
    fitted = fit({"chatter": half_right(400), "tiny": nothing_found})
    assert fitted.errors["tiny"] is None
    console = Console(width=100, record=True)
    console.print(render_calibration(fitted))
    assert "tiny -" in console.export_text()
