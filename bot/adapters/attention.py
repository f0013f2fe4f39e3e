"""Whether a message that is not addressed to the bot looks like something to answer."""

import re

_ASKING = re.compile(
    r"\W*(?:(?:hi|hello|hey|so|ok(?:ay)?|please|sorry|but|and)\b[\s,.!]*)*"
    r"(?:how|what|why|when|where|who|which|whose|can|could|do|does|did|is|are|was|were|should|shall|will|would|may|might|has|have|"
    r"am i|any(?:one|body)|is there|explain|tell me|help)\b",
    re.IGNORECASE,
)


def looks_like_a_question(text: str) -> bool:
    """Whether somebody asks something, rather than tells it. The words are English; a question mark counts in any language."""
    return bool(re.search(r"[?？؟⸮]", text)) or _ASKING.match(text) is not None
