"""Scores -> the probability that what was found answers the question, by which the bot answers or declines.

A logistic model of three scores. It was fitted on one half (by the hash of their ids) of the questions of five public
sets, answerable ones against off-topic chatter and questions of other domains; every set, and answerable and not, weighed
the same. So 0.5 stands for an even chance in such a mixture; how an operator's users ask is another mixture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.documents import Passage
from bot.inference.reader import Reading
from bot.storage.base import Hit
from bot.text import stems

_INTERCEPT = -8.15
_WEIGHTS = {"passage_cosine": 13.0, "text_cosine": 4.4, "covered": 2.95}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer, each between 0 and 1 (a cosine may be negative).

    The cosines of the passage and of the piece of text to the question, and the share of the question's words that the
    passage has; each the mean over the wordings, so that an off-topic remark is not carried by what was said before.
    """

    passage_cosine: float
    text_cosine: float
    covered: float


def evidence(wordings: Sequence[str], hit: Hit, reading: Reading) -> Evidence:
    asked = [stems(wording) for wording in wordings]
    said = _words_of(hit.found.passage)
    return Evidence(
        passage_cosine=sum(hit.cosines) / len(hit.cosines),
        text_cosine=reading.cosine,
        covered=sum(len(words & said) / max(1, len(words)) for words in asked) / len(asked),
    )


def confidence(found: Evidence) -> float:
    """Between 0 and 1."""
    logit = _INTERCEPT + sum(weight * getattr(found, name) for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-logit))


def _words_of(passage: Passage) -> frozenset[str]:
    return stems(passage.body)
