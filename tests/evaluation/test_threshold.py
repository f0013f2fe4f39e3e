"""Whether a threshold lets right answers through, and wrong ones not."""

import pytest

from bot.core.messages import Outcome
from bot.core.settings import Settings
from bot.evaluation.own_questions import OwnQuestion, QuestionSource
from bot.evaluation.threshold import UNRELATED, QuestionOutcome, ThresholdFit, fit_threshold
from bot.inference.workers import Models
from bot.runtime.application import open_application


def asked(threshold: float, confidence: float, *, right: bool) -> QuestionOutcome:
    outcome = Outcome.ANSWERED if confidence >= threshold else Outcome.DECLINED
    return QuestionOutcome(outcome, right, confidence)


def fit(threshold: float, right: list[float], wrong: list[float], unrelated: list[float]) -> ThresholdFit:
    """By the confidences of own questions whose sections are found, of those whose are not, and of unrelated ones."""
    own = [asked(threshold, each, right=True) for each in right] + [
        asked(threshold, each, right=False) for each in wrong
    ]
    return ThresholdFit(threshold, tuple(own), tuple(asked(threshold, each, right=False) for each in unrelated))


@pytest.mark.parametrize(
    ("threshold", "fits", "right", "unrelated"),
    [(0.5, True, 1.0, 0.0), (0.95, False, 0.0, 0.0), (0.1, False, 1.0, 1.0)],
)
def test_a_threshold_fits_if_it_tells_right_from_unrelated(threshold, fits, right, unrelated):
    """Too high declines what the documents answer, too low answers what they don't."""
    found = fit(threshold, [0.8, 0.85, 0.9] * 4, [], [0.15, 0.2, 0.25] * 4)
    assert (found.fits, found.share(Outcome.ANSWERED, right=True), found.unrelated_answered) == (fits, right, unrelated)
    assert found.suggested == pytest.approx(0.52, abs=0.02)
    assert found.enough


def test_a_threshold_that_answers_everything_wrongly_does_not_fit():
    """That own questions are answered says nothing: the threshold that keeps back the wrong ones is suggested."""
    found = fit(0.3, [0.8] * 10, [0.5] * 10, [0.1] * 10)
    assert found.share(Outcome.ANSWERED, right=False) == 0.5
    assert not found.fits
    assert found.is_improved
    assert 0.5 < found.suggested <= 0.8
    assert found.gain(found.suggested) == 10


def test_where_no_threshold_would_help_none_is_worth_a_change():
    """Most sections are not found, however sure."""
    found = fit(0.5, [0.8] * 3, [0.2] * 9, [0.1] * 10)
    assert not found.fits
    assert not found.is_improved


def test_no_threshold_is_suggested_that_would_have_no_effect():
    """Below the bound of suggestions everything is declined."""
    found = fit(0.9, [0.15] * 10, [], [0.05] * 10)
    assert 0.05 < found.suggested <= 0.15
    assert ThresholdFit(found.threshold, found.own, found.unrelated, lowest=0.2).suggested >= 0.2


def test_the_shares_add_up():
    """Answered, suggested, and declined, from the right section or another one."""
    own = (
        QuestionOutcome(Outcome.ANSWERED, True, 0.9),
        QuestionOutcome(Outcome.ANSWERED, False, 0.8),
        QuestionOutcome(Outcome.SUGGESTED, True, 0.4),
        QuestionOutcome(Outcome.SUGGESTED, False, 0.3),
        QuestionOutcome(Outcome.DECLINED, True, 0.1),
        QuestionOutcome(Outcome.SMALL_TALK, False, 0.0),
    )
    found = ThresholdFit(0.5, own, ())
    shown = [found.share(outcome, right=right) for outcome in (Outcome.ANSWERED, Outcome.SUGGESTED) for right in (1, 0)]
    assert shown == [pytest.approx(1 / 6)] * 4
    assert found.declined == pytest.approx(2 / 6)


def test_a_handful_of_questions_says_nothing():
    """Nobody should change a setting for it."""
    assert not fit(0.5, [0.9] * 7, [], [0.1] * 30).enough


@pytest.mark.slow
async def test_an_answer_from_another_section_is_wrong(settings: Settings, models: Models, folder_of):
    """With the real models: the same reworded question, made from the section that answers it, and from another one."""
    folder_of(
        {"care.md": "# Care\n\n## Descaling\n\nDescale the kettle with citric acid.\n\n## Lid\n\nThe lid is blue.\n"}
    )
    made_from = {
        heading: OwnQuestion(heading, heading, "Care", "", (QuestionSource("care.md", (heading,)),))
        for heading in ("Descaling", "Lid")
    }
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        texts = ["what acid removes limescale from the kettle?"] * 2
        found = await fit_threshold(application.answering.engine, list(made_from.values()), texts, settings.answer)
    assert [one.right for one in found.own] == [True, False]
    assert found.own[0].confidence == found.own[1].confidence > 0.0
    assert len(found.unrelated) == len(UNRELATED)
    assert found.unrelated_answered == 0.0
