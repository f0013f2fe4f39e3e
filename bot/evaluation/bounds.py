"""The outcome of a question at other bounds than those at which it was asked."""

from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings

BOUNDED = (Outcome.ANSWERED, Outcome.SUGGESTED, Outcome.DECLINED)
"""The outcomes that the bounds decide between."""


def outcome_at(outcome: Outcome, confidence: float, bounds: AnswerSettings, held: AnswerSettings) -> Outcome:
    """Return the outcome at `bounds` of a question that had `outcome` at the bounds `held`.

    An answer that was only suggested although it was sure enough, because of a number that isn't in the passage for example,
    stays a suggestion at every threshold.
    """
    never_sure = outcome is Outcome.SUGGESTED and confidence >= held.threshold
    if confidence >= bounds.threshold and not never_sure:
        return Outcome.ANSWERED
    return Outcome.SUGGESTED if confidence >= bounds.suggest_threshold else Outcome.DECLINED
