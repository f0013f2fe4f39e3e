"""Features -> the probability that an answer is right, by which the bot answers, suggests or declines.

A logistic model of a few features that a person can understand. Its numbers stand in a file with what they were fitted on,
made by `knowledge-bot evaluate --calibrate`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bot.core.errors import WeightsError

_MODELS = Path(__file__).parent.parent / "models" / "reader"
SHIPPED = _MODELS / "calibration.json"
SHIPPED_BY_WORDS = _MODELS / "calibration-by-words.json"
"""For a search without an encoder."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the confidence in an answer is made of.

    `relevance`: the reader's logit for the passage that answers. `lead`: by how much that passage ranks before the best one of
    another section; a close race is a doubtful one. `retrieval`: its score in the search, which compares meaning and words.
    `cosine`: the likeness in meaning of the question and the passage, over all query variants by their weights.
    """

    relevance: float
    lead: float
    retrieval: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logistic model: the weight of each score of Features, by name, and what it was fitted on, to be read."""

    intercept: float
    weights: Mapping[str, float]
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        """Raises WeightsError where the file is not what `save` writes."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            calibration = cls(float(data["intercept"]), {**data["weights"]}, data["provenance"])
            if set(calibration.weights) != {field.name for field in fields(Features)}:
                raise ValueError(f"its weights are {', '.join(calibration.weights)}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{file} is no calibration ({error}); make one with `knowledge-bot evaluate --calibrate`."
            ) from error
        return calibration

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def confidence(self, found: Features) -> float:
        """The probability that the answer is right, between 0 and 1."""
        logit = self.intercept + sum(weight * getattr(found, name) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-700.0, logit)))
