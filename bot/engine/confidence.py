"""Estimate the probability that an answer is right. It decides whether the bot answers, suggests or declines.

It is the product of two probabilities, each from a logistic model of a few features that a person can understand: that the
question is about the documents, and that the answer is right if it is. A question about something else is told by nothing
being near, a right section by how far it ranks above the others. `knowledge-bot evaluate --calibrate` writes their weights
to a file, with a description of the data that they were fitted on.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bot.core.errors import WeightsError
from bot.engine.logistic import LogisticModel

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


FEATURES = tuple(field.name for field in fields(Features))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The models of the confidence: that a question is about the documents (`on_topic`), and that its answer is then `right`.

    `provenance` describes the data that they were fitted on, for people to read.
    """

    on_topic: LogisticModel
    right: LogisticModel
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        """Load a calibration that `save` wrote. Raises WeightsError if the file is missing or damaged."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            on_topic, right = (LogisticModel.from_json(data[part], FEATURES) for part in ("on_topic", "right"))
            return cls(on_topic, right, data["provenance"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{file} is no calibration ({error}); make one with `knowledge-bot evaluate --calibrate`."
            ) from error

    def save(self, file: Path) -> None:
        """Write the calibration to a file that `load` reads. Raises OSError."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def confidence(self, found: Features) -> float:
        """Return the probability that the answer is right, between 0 and 1."""
        return self.on_topic.probability(found) * self.right.probability(found)
