"""The settings of answering: how passages are found and answers judged, and how many questions are taken."""

from typing import Literal

from pydantic import Field

from bot.core.settings.values import OptionalFile, Seconds, SettingsSection


class RetrievalSettings(SettingsSection):
    """The search for passages."""

    dense_weight: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of meaning (vectors) against shared words (BM25) in the ranking. Lower it where people ask by "
        "names and numbers that stand in the documents word for word.",
    )


class AnswerSettings(SettingsSection):
    """Which passages are read, and from which confidence on they are answers."""

    threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Confidence from which on an answer is given as sure; below it, it is only suggested. Raise it where a "
        "wrong answer does harm.",
    )
    suggest_threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Confidence from which on a section is suggested, marked as unsure; below it the bot declines. The same "
        "as `threshold`: no suggestions. Raise it where suggestions are seldom of use.",
    )
    read_passages: int = Field(
        12,
        ge=1,
        le=50,
        description="How many of the passages found, best first, are read for the answer. Lower it on a slow machine, where "
        "fewer are read sooner.",
    )
    calibration: OptionalFile = Field(
        None,
        description="A file made by `evaluate --calibrate`, which turns scores into confidence. Empty: the one that ships "
        "with the bot and fits its models. Set it after a change of the encoder or the reader.",
    )


class GroundingSettings(SettingsSection):
    """The checks of a generator's texts against the documents."""

    unsupported: Literal["trim", "replace"] = Field(
        "trim",
        description="What becomes of a generated answer with sentences that the passages don't support. trim: those "
        "sentences are left out. replace: the quote is given instead. Choose replace where half an answer "
        "could mislead.",
    )
    threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability of being supported by the passages that a generated sentence must have. Raise it where "
        "answers say what the documents don't, lower it where right sentences are left out.",
    )


class ConversationSettings(SettingsSection):
    """Earlier turns, which follow-up questions refer to."""

    expire_seconds: Seconds = Field(
        1800,
        description="Seconds after which an earlier question is no longer followed up. Lower it where questions are taken "
        "for follow-ups of old ones.",
    )
    turns: int = Field(
        6,
        ge=0,
        le=50,
        description="How many earlier questions a follow-up may refer to. 0: none. Set 0 where every question is to stand "
        "for itself.",
    )


class QueueSettings(SettingsSection):
    """The questions that wait for their answers."""

    capacity: int = Field(
        256,
        ge=1,
        description="How many questions may wait at once; further ones are refused politely. Lower it where a refusal at "
        "once is better than a long wait.",
    )
    parallel: int = Field(
        16,
        ge=1,
        description="How many conversations are answered side by side. Raise it where a server that takes many requests at "
        "once phrases the answers.",
    )
    deadline_seconds: Seconds = Field(
        60,
        description="Seconds after which the bot gives up on a question, the time in which it waited counted in. Raise it "
        "where a language model is slow and people are patient.",
    )
    expire_seconds: Seconds = Field(
        86_400,
        description="Seconds after which a question that couldn't be answered, because the bot was away, isn't answered any "
        "more; the asker is asked to ask again. Lower it where an answer on the next day would be odd.",
    )


class LimitsSettings(SettingsSection):
    """How much one person and one chat may ask."""

    author_questions: int = Field(
        10,
        ge=0,
        description="How many questions one person may ask within a minute. 0: any number. Lower it where single people "
        "ask too much.",
    )
    chat_questions: int = Field(
        120,
        ge=0,
        description="How many questions one chat may ask within a minute. 0: any number. Raise it for very large groups.",
    )
