"""Distinguishes questions from other messages, if a message doesn't address the bot."""

import re

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
