"""What gets an answer of the messages that don't address the bot: questions, if the documents answer them."""

import re

from bot.core.messages import Address, Answer, Outcome

_ASKING = re.compile(
    r"\W*(?:(?:hi|hello|hey|so|ok(?:ay)?|please|sorry|but|and)\b[\s,.!]*)*"
    r"(?:how|what|why|when|where|who|which|whose|can|could|do|does|did|is|are|was|were|should|shall|will|would|may|might|has|have|"
    r"am i|any(?:one|body)|is there|explain|tell me|help)\b",
    re.IGNORECASE,
)


def looks_like_a_question(text: str) -> bool:
    """Whether a text is likely a question: by its first words, in English, or by a question mark in any language.

    Marks without a word ask nothing.
    """
    return bool(re.search(r"\w.*[?？؟⸮]|[؟⸮].*\w", text, re.DOTALL)) or _ASKING.match(text) is not None


def stays_silent(address: Address, answer: Answer) -> bool:
    """Whether an answer is not sent, because its question didn't address the bot.

    By the details of the address: `unasked` messages are in no talk with the bot, `unprompted` ones don't look like a question.
    """
    if answer.outcome is Outcome.SUGGESTED:
        return bool(address.details.get("unasked") or address.details.get("unprompted"))
    return bool(address.details.get("unprompted")) and not answer.answered
