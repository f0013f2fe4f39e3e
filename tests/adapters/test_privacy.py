"""The part of the privacy notice that the platforms share follows the settings."""

import pytest

from bot.adapters.privacy import memory_text, privacy_text
from bot.core.settings import Settings


def settings(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize("provider", ["none", "local"])
def test_nothing_is_passed_on_without_a_remote_model(provider):
    """A model on this machine sees the question too, but that is no other service."""
    text = privacy_text(settings(generator={"provider": provider}))
    assert text == "Nothing is passed on to any other service. I train no model with what you write."


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://user:secret@models.example:8443/v1?key=secret", "models.example"),
        ("", "another server"),
    ],
)
def test_the_host_of_a_remote_model_is_named(base_url, host):
    """The host alone: an address may hold a secret."""
    text = privacy_text(settings(generator={"provider": "openai", "base_url": base_url}))
    assert text.startswith(f"A language model at {host} words the answers: it is sent your question, ")
    assert "Nothing is passed on" not in text
    assert "secret" not in text


def test_training_with_chat_messages_is_admitted():
    """With the limit of /forget me."""
    text = privacy_text(settings(finetuning={"chat_messages": True}))
    assert "may be copied, with the answers, to train a language model; /forget me doesn't reach these copies." in text
    assert "I train no model" not in text


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        ({}, "A conversation is remembered for 30 minutes for follow-up questions."),
        ({"expire_seconds": 60}, "A conversation is remembered for 1 minute for follow-up questions."),
        ({"turns": 0}, "A conversation is not remembered."),
    ],
)
def test_what_is_remembered_of_a_conversation_follows_the_settings(conversation, text):
    """Nothing is without turns."""
    assert memory_text(settings(conversation=conversation)) == text
