"""Scores -> the probability that an answer is right, by which the bot answers or declines.

A logistic model of a few scores that a person can understand. Its numbers stand in a file with what they were fitted on,
made by `knowledge-bot evaluate --calibrate`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bot.core.documents import Passage
from bot.core.errors import WeightsError
from bot.core.messages import QueryVariant
from bot.core.text import share_of_words, stems
from bot.engine.compose import unit_with
from bot.inference.reader import Reading
from bot.storage.base import Hit

_MODELS = Path(__file__).parent.parent / "models" / "reader"
SHIPPED = _MODELS / "calibration.json"
SHIPPED_BY_WORDS = _MODELS / "calibration-by-words.json"
"""For a search without an encoder."""


@dataclass(frozen=True, slots=True)
class Features:
    """What speaks for an answer.

    `retrieval` is the score of the search, which compares meaning and words; `covered` is the share of the question's words
    that the passage has, its title and headings counted in; `sentence` is the cosine between the question and the sentence
    that answers. They are over all variants by their weights, so that an off-topic remark is not carried by what was said
    before. `margin`: by how much, in logits, the reader finds these words likelier than that the passage doesn't answer.
    """

    retrieval: float
    covered: float
    sentence: float
    margin: float


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


def features(variants: Sequence[QueryVariant], hit: Hit, reading: Reading, sentence: float) -> Features:
    """`sentence` is what Features says."""
    found = hit.found
    said = stems(" ".join((found.title, *found.passage.heading, found.passage.body)))
    return Features(
        retrieval=hit.score,
        covered=sum(variant.weight * share_of_words(stems(variant.text), said) for variant in variants),
        sentence=sentence,
        margin=reading.score,
    )


def answering_sentence(passage: Passage, reading: Reading) -> str:
    """The sentence, item or row that the words stand in, with the heading or the question that it stands below."""
    block = passage.blocks[reading.block]
    said = block.text[slice(*unit_with(block, reading.span))]
    return "\n".join((*block.heading[-1:], *filter(None, [block.context]), said))
