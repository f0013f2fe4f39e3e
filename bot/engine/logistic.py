"""A logistic model of a few named features, kept in a JSON file."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """A logistic model with a weight for each feature by name."""

    intercept: float
    weights: Mapping[str, float]

    @classmethod
    def from_json(cls, data: Mapping[str, Any], names: Collection[str]) -> "LogisticModel":
        """Return the model in a JSON object with these features. Raises ValueError, KeyError or TypeError if it is none."""
        weights = {**data["weights"]}
        if set(weights) != set(names):
            raise ValueError(f"its weights are {', '.join(weights)}")
        return cls(float(data["intercept"]), weights)

    def probability(self, found: object) -> float:
        """Return the probability for an object with the features as attributes, between 0 and 1."""
        logit = self.intercept + sum(weight * getattr(found, name) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
