"""The parts of the privacy notice that are the same on every platform."""

from urllib.parse import urlsplit

from bot.core.settings import Settings
from bot.core.text import counted


def memory_text(settings: Settings) -> str:
    """Return a sentence, as plain text, on how long a conversation is remembered."""
    if not settings.conversation.turns:
        return "A conversation is not remembered."
    minutes = counted(round(settings.conversation.expire_seconds / 60, 1), "minute")
    return f"A conversation is remembered for {minutes} for follow-up questions."


def privacy_text(settings: Settings) -> str:
    """Return sentences, as plain text, on whom questions are passed to and whether they train a model."""
    return f"{_recipients(settings)} {_training(settings)}"


def _recipients(settings: Settings) -> str:
    if settings.generator.provider != "openai":
        return "Nothing is passed on to any other service."
    host = urlsplit(settings.generator.base_url).hostname or "another server"
    return (
        f"A language model at {host} words the answers: it is sent your question, our conversation before it and passages of "
        "the documents. Nothing else is passed on to any other service."
    )


def _training(settings: Settings) -> str:
    if not settings.finetuning.chat_messages:
        return "I train no model with what you write."
    return (
        "Questions whose answers are found helpful may be copied, with the answers, to train a language model; /forget me "
        "doesn't reach these copies."
    )
