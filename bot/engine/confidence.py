"""Scores -> the probability that what was found answers the question, by which the bot answers or declines.

A logistic model of three scores. It was fitted on one half (by the hash of their ids) of the questions of five public
sets, answerable ones against off-topic chatter and questions of other domains; every set, and answerable and not, weighed
the same. So 0.5 stands for an even chance in such a mixture; how an operator's users ask is another mixture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.inference.reader import Reading
from bot.messages import Wording
from bot.storage.base import Hit
from bot.text import share_of_words, stems

_INTERCEPT = -8.6
_WEIGHTS = {"passage_cosine": 11.9, "text_cosine": 6.25, "covered": 2.8}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer, each between 0 and 1 (a cosine may be negative).

    The cosines of the passage and of the piece of text to the question, and the share of the question's words that the
    passage has, its title and headings counted in; each over all wordings by their weights, so that an off-topic remark is
    not carried by what was said before.
    """

    passage_cosine: float
    text_cosine: float
    covered: float


def evidence(wordings: Sequence[Wording], hit: Hit, reading: Reading) -> Evidence:
    found = hit.found
    said = stems(" ".join((found.title, *found.passage.heading, found.passage.body)))
    return Evidence(
        passage_cosine=sum(wording.weight * cosine for wording, cosine in zip(wordings, hit.cosines, strict=True)),
        text_cosine=reading.cosine,
        covered=sum(wording.weight * share_of_words(stems(wording.text), said) for wording in wordings),
    )


def confidence(found: Evidence) -> float:
    """Between 0 and 1."""
    logit = _INTERCEPT + sum(weight * getattr(found, name) for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-logit))
