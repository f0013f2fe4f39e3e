"""The bodies of requests: text that is text, and no more of it than is read."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, model_validator

from bot.core.messages import Turn
from bot.http.problems import Problem

# Characters of one text. People ask in a few hundred; the rest is for those who paste a log.
_LONGEST_TEXT = 20_000
# Characters of all earlier messages that are read.
_MOST_EARLIER = 40_000
# As many as `conversation.turns` can be.
_MOST_TURNS = 50


class Body(BaseModel):
    """A JSON body whose texts can be stored and sent."""

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, data: Any) -> Any:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text has half a surrogate pair (\\ud800 to \\udfff), which is no character") from error
        except RecursionError as error:
            raise ValueError("lists and objects are nested too deeply") from error
        return data


def require_short(question: str, earlier: Sequence[Turn]) -> None:
    """Raise Problem where the question or a text of an earlier turn is too long."""
    if len(question) > _LONGEST_TEXT:
        raise _too_long("The question", "Ask in fewer words.")
    if any(len(text) > _LONGEST_TEXT for turn in earlier for text in (turn.question, turn.answer)):
        raise _too_long("An earlier message", "Shorten it or leave it out.")


def latest(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The latest turns that are read: older ones are left out, so that a long conversation goes on."""
    size = 0
    for count, turn in enumerate(reversed(turns)):
        size += len(turn.question) + len(turn.answer)
        if count == _MOST_TURNS or (count and size > _MOST_EARLIER):
            return tuple(turns[len(turns) - count :])
    return tuple(turns)


def _too_long(what: str, advice: str) -> Problem:
    detail = f"{what} is too long: a text may have up to {_LONGEST_TEXT} characters. {advice}"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
