"""Estimate the probability that an answer is right. It decides whether the bot answers, suggests or declines.

A logistic model of a few features that a person can understand. `knowledge-bot evaluate --calibrate` writes its weights to a
file, together with a description of the data that they were fitted on.
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
"""The calibration of a search without an encoder."""


@dataclass(frozen=True, slots=True)
class Features:
    """The features of the confidence in an answer.

    `relevance`: the reader's logit for the answering passage. `lead`: how far this passage ranks above the best one of another
    section; a small lead means doubt. `retrieval`: its score in the search, which compares meaning and words. `cosine`: the
    cosine similarity of question and passage, as the weighted mean over the query variants.
    """

    relevance: float
    lead: float
    retrieval: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logistic model, with a weight for each of the Features by name.

    `provenance` describes the data that it was fitted on, for people to read.
    """

    intercept: float
    weights: Mapping[str, float]
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        """Load a calibration that `save` wrote. Raises WeightsError if the file is missing or damaged."""
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
        """Write the calibration to a file that `load` reads. Raises OSError."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def confidence(self, found: Features) -> float:
        """Return the probability that the answer is right, between 0 and 1."""
        logit = self.intercept + sum(weight * getattr(found, name) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-700.0, logit)))
