"""Reply to messages that are no question to the documents: greetings, thanks, "who are you?"."""

import re
from collections.abc import Sequence

from bot.core.text import counted

_ANY_NAME = r"(?:\s+(?:bot|there|all|everyone|everybody|you|again|friend|team))*"
_PATTERNS = (
    (
        rf"(?:hi|hello|hey|hiya|howdy|greetings|yo|good (?:morning|afternoon|evening|day)){_ANY_NAME}",
        "Hello! Ask me anything that the documents might answer.",
    ),
    (
        r"(?:ok(?:ay)?,? |great,? |perfect,? )?(?:thanks|thank you|thx|ty|cheers|much appreciated)"
        r"(?: (?:a lot|so much|very much|again|bot|you|for (?:your|the) (?:help|answer)|that helped))*",
        "You're welcome!",
    ),
    (
        r"(?:who|what) are you|what is this(?: bot| thing)?|"
        r"what(?:'s| is) your name|are you (?:a |an )?(?:bot|robot|human|ai|real|person)"
        r"(?: or (?:a |an )?(?:bot|robot|human|ai|person))?|what can you do(?: for me)?|introduce yourself",
        "I'm a bot that answers questions from this place's own documents, in their own words, and says where they stand. "
        "If they don't answer a question, I say so.",
    ),
    (
        r"(?:how are you|how(?:'s| is) it going|how do you do|what'?s up|sup)(?: (?:today|doing|doing today))?",
        "Ready to look things up. What would you like to know?",
    ),
    (
        r"(?:bye|goodbye|good night|see you|see ya|cya|later|farewell)(?: (?:bye|bot|later|soon|then|tomorrow|all|everyone))*",
        "Goodbye!",
    ),
    (
        r"(?:good|great|nice|well done|awesome|perfect|excellent|amazing|brilliant|cool|ok|okay|lol|haha)"
        r"(?: (?:bot|job|work|one|stuff|answer))*",
        "Glad to hear it.",
    ),
)
_THINGS = r"(?:documents?|docs|files?|sources?|topics?|subjects?|questions?)"
_CONTENTS = re.compile(
    rf"(?:what|which)(?: kinds? of| sorts? of)? {_THINGS} (?:do|can|could) (?:you|i) (?:have|know|cover|use|read|answer|ask)"
    rf"(?: about| you)*|(?:(?:list|show|tell) me |list |show )(?:all |the |your )*{_THINGS}|"
    r"what (?:do you know|can i ask(?: you)?)(?: about)?|what are you about|"
    r"help|help me|how do i use (?:you|this(?: bot)?)|how does this(?: bot)? work"
)
_NAMED_CONTENTS = 12
_NO_WORDS = "Ask me a question in words, and I'll look it up in the documents."
_REPLIES = tuple((re.compile(pattern), reply) for pattern, reply in _PATTERNS)

# Greetings, thanks and announcements around a question, which don't change its meaning.
_COURTESIES = re.compile(
    rf"^(?:(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening)){_ANY_NAME}|(?:ok(?:ay)?|great|perfect)|"
    r"(?:a |one )?(?:quick|short|last|more|next)(?: quick| short| last| more)? question|"
    r"(?:thanks|thank you|thx|cheers)(?: (?:a lot|so much|very much|again))*)\s*[,.!:;-]+\s*(?:and\b\s*)?|"
    r"[\s,.!;-]+(?:please|thanks|thank you|thx|cheers)(?: (?:a lot|so much|in advance))*[\s.!]*$",
    re.IGNORECASE,
)

_NEW_SUBJECT = re.compile(
    r"^(?:oh,? )?(?:(?:an? )?(?:unrelated|different|another|other|new)(?: (?:question|topic|thing|subject))?|by the way|btw|"
    r"on another note|(?:to )?chang(?:e|ing) (?:the )?(?:subject|topic))(?: though| but| then)?\s*[,.!:;-]+\s*",
    re.IGNORECASE,
)


def new_subject(text: str) -> str | None:
    """Return the question after an announcement of a new subject ("Unrelated: ..."), or None without an announcement."""
    announced = _NEW_SUBJECT.match(text)
    return text[announced.end() :] if announced and re.search(r"\w", text[announced.end() :]) else None


def without_courtesies(text: str) -> str:
    """Return a question without the greetings and thanks around it, unless nothing else would be left."""
    while (shorter := _COURTESIES.sub("", text)) != text and re.search(r"\w", shorter):
        text = shorter
    return text


def asks_about_contents(text: str) -> bool:
    """Whether the whole message asks for the bot's documents or topics, or how to use it."""
    return _CONTENTS.fullmatch(_bare_words(text)) is not None


def contents_reply(titles: Sequence[str]) -> str:
    """Return a reply with the titles of the bot's documents, at most a dozen."""
    if not titles:
        return "I have no documents yet."
    named = ", ".join(f"“{title}”" for title in titles[:_NAMED_CONTENTS])
    more = f" and {len(titles) - _NAMED_CONTENTS} more" if len(titles) > _NAMED_CONTENTS else ""
    return f"Ask me in your own words about what is in my {counted(len(titles), 'document')}: {named}{more}."


def small_talk_reply(text: str) -> str | None:
    """Return a reply if the whole message is small talk, else None."""
    if not re.search(r"\w", text):  # "???", a dot, a smiley
        return _NO_WORDS
    said = _bare_words(text)
    parts = (said, *(said.removeprefix(f"{greeting} ") for greeting in ("hi", "hello", "hey")))
    return next((reply for part in parts for pattern, reply in _REPLIES if pattern.fullmatch(part)), None)


def _bare_words(text: str) -> str:
    """Return the words of a message in lower case, without punctuation."""
    return " ".join(re.sub(r"[^\w\s'/]+", " ", text.lower().replace("’", "'")).split())
