"""Quality: golden questions, outcomes by day, calibration of the confidence, and latency."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from bot.console.charts import calibration_chart, days_chart, golden_chart, latency_chart
from bot.console.parts import Parts
from bot.console.view import View
from bot.core.messages import Outcome
from bot.evaluation.bounds import BOUNDED
from bot.evaluation.golden import GoldenResult, golden_results
from bot.knowledge.folder import GOLDEN_FILE
from bot.observability import metrics

_DAYS = 30
_MOST_RATINGS = 10_000
# Fewer ratings show nothing but chance.
_FEWEST_RATINGS = 20
_BINS = 5


@dataclass(frozen=True, slots=True)
class Latency:
    """The duration of a stage since the start, in seconds: half of the questions took up to `median`, 19 of 20 up to `slow`."""

    stage: str
    count: int
    median: float
    slow: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The ratings of answers with about the same confidence. `helpful` is a share."""

    confidence: float
    helpful: float
    ratings: int


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of quality."""
    pages = APIRouter()

    @pages.get("/quality")
    async def shown(request: Request) -> Response:
        days = await parts.history.days(time.time() - _DAYS * 86_400)
        ratings = await parts.history.ratings(_MOST_RATINGS)
        golden = await golden_results(parts.administration.knowledge)
        figures = await view.in_thread(_figures, days, ratings, golden)
        return await view.page(
            request,
            "quality.html",
            golden=golden,
            golden_file=GOLDEN_FILE,
            days=days,
            outcomes=BOUNDED,
            ratings=len(ratings),
            fewest_ratings=_FEWEST_RATINGS,
            answer_days=parts.settings.storage.answer_days,
            **figures,
        )

    return pages


def _figures(
    days: Sequence[tuple[str, Counter[Outcome]]],
    ratings: Sequence[tuple[float, bool]],
    golden: Sequence[GoldenResult],
) -> dict[str, Any]:
    """Return the charts, with their figures."""
    bins = calibration(ratings) if len(ratings) >= _FEWEST_RATINGS else []
    stages = latencies()
    return {
        "bins": bins,
        "latencies": stages,
        "latency_chart": latency_chart([(one.stage, one.median * 1000, one.slow * 1000) for one in stages]),
        "golden_chart": golden_chart(golden),
        "days_chart": days_chart([(day, [counts[outcome] for outcome in BOUNDED]) for day, counts in days]),
        "calibration_chart": calibration_chart([(one.confidence, one.helpful, one.ratings) for one in bins]),
    }


def calibration(ratings: Sequence[tuple[float, bool]]) -> list[CalibrationBin]:
    """Bins with about as many ratings each, by confidence. `ratings`: (confidence, whether it was helpful)."""
    ordered = sorted(ratings)
    size = math.ceil(len(ordered) / _BINS)
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size or 1)]
    return [
        CalibrationBin(
            confidence=sum(confidence for confidence, _ in group) / len(group),
            helpful=sum(helpful for _, helpful in group) / len(group),
            ratings=len(group),
        )
        for group in groups
    ]


def latencies() -> list[Latency]:
    """Return the duration of each stage, from the metrics of the process."""
    buckets: dict[str, dict[float, float]] = {}
    for family in metrics.STAGES.collect():
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                buckets.setdefault(sample.labels["stage"], {})[float(sample.labels["le"])] = sample.value
    return [
        Latency(stage, round(counts[math.inf]), _at_share(counts, 0.5), _at_share(counts, 0.95))
        for stage, counts in buckets.items()
        if counts[math.inf]
    ]


def _at_share(counts: Mapping[float, float], share: float) -> float:
    """Return the duration that this share of all is not above, between the bounds of its bucket in proportion."""
    wanted = share * counts[math.inf]
    lower, below = 0.0, 0.0
    for upper, count in sorted(counts.items()):
        if count >= wanted:
            return lower if math.isinf(upper) else lower + (upper - lower) * (wanted - below) / max(1.0, count - below)
        lower, below = upper, count
    return lower
