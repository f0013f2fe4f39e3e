"""Threshold: the last questions by confidence, with their outcomes at other bounds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from bot.console.charts import confidence_strip
from bot.console.parts import Parts
from bot.console.view import View
from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings
from bot.evaluation.bounds import BOUNDED, outcome_at
from bot.storage.base import Confidence

_LATEST = 500
Bound = Annotated[float | None, Query(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Moved:
    """A question with its outcome at the bounds that hold, and at those that are tried."""

    asked: Confidence
    now: Outcome
    then: Outcome


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of the threshold."""
    pages = APIRouter()

    @pages.get("/threshold")
    async def shown(request: Request, threshold: Bound = None, suggest: Bound = None) -> Response:
        now = parts.settings.answer
        threshold = now.threshold if threshold is None else threshold
        suggest = min(threshold, now.suggest_threshold if suggest is None else suggest)
        tried = now.model_copy(update={"threshold": threshold, "suggest_threshold": suggest})
        compared = await view.in_thread(_compared, await parts.history.confidences(_LATEST), now, tried)
        return await view.page(
            request,
            "threshold.html",
            now=now,
            tried=tried,
            outcomes=BOUNDED,
            answer_days=parts.settings.storage.answer_days,
            **compared,
        )

    return pages


def _compared(latest: Sequence[Confidence], now: AnswerSettings, tried: AnswerSettings) -> dict[str, Any]:
    """Return the questions by confidence, the surest first, at the bounds that hold and at those that are tried."""
    ordered = sorted(latest, key=lambda one: -one.confidence)
    questions = [
        Moved(one, *(outcome_at(one.outcome, one.confidence, bounds, now) for bounds in (now, tried)))
        for one in ordered
    ]
    return {
        "questions": questions,
        "changes": [one for one in questions if one.now is not one.then],
        "counts_now": Counter(one.now for one in questions),
        "counts_then": Counter(one.then for one in questions),
        "strip": confidence_strip([one.confidence for one in ordered], tried.threshold, tried.suggest_threshold),
    }
