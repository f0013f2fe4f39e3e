"""The prompts that a question would give: made by the real engine and the model's own tokenizer, without running the model."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from bot.core.errors import GenerationFailed
from bot.core.messages import Outcome
from bot.core.settings import Settings
from bot.inference.generator import find_model
from bot.inference.prompter import load_prompter
from bot.inference.prompts import PromptContent, Style
from bot.inference.remote import chat_messages, estimated_tokens
from bot.inference.templates import load_templates
from bot.inference.tuned import chosen
from bot.runtime.application import Application, administration_of


@dataclass(frozen=True, slots=True)
class MadePrompt:
    """A prompt as the model reads it, and its number of tokens: an estimate for a model on a server.

    `most`: the largest number of tokens that a prompt may have. `new`: the number of tokens that may follow.
    """

    text: str
    style: str
    tokens: int
    most: int
    new: int


class PromptRecorder:
    """A Generator that keeps the contents of the prompts it gets and writes nothing."""

    def __init__(self) -> None:
        self.name = "recorder"
        self.description: Mapping[str, object] = {}
        self.contents: list[PromptContent] = []

    async def stream(self, prompt: PromptContent | str) -> AsyncGenerator[str, None]:
        if isinstance(prompt, PromptContent):
            self.contents.append(prompt)
        raise GenerationFailed("the model is not run")
        yield ""  # never reached; it makes this a generator

    async def close(self) -> None:
        """There is nothing to release."""


async def prompts_for(
    question: str, application: Application, recorder: PromptRecorder
) -> tuple[Outcome, list[MadePrompt]]:
    """Return the outcome of a question, and the prompts that it gives: none where the model isn't asked, several for a message
    with several questions.

    `recorder` is the generator of the application. Raises EngineBusy, IndexUnavailable, WeightsError and SettingsError.
    """
    recorder.contents.clear()
    explained = await administration_of(application).explain(question)
    return explained.outcome, await asyncio.to_thread(_made, application.settings, recorder.contents)


def _made(settings: Settings, contents: Sequence[PromptContent]) -> list[MadePrompt]:
    if settings.generator.provider == "openai":
        return [_for_server(settings, content) for content in contents]
    generator = chosen(settings).settings
    prompter = load_prompter(find_model(generator, settings.models).folder, generator)
    encoded = [prompter.encode(content).tokens for content in contents]
    return [
        MadePrompt(prompter.text(tokens), prompter.style, len(tokens), *prompter.token_limits) for tokens in encoded
    ]


def _for_server(settings: Settings, content: PromptContent) -> MadePrompt:
    generator = settings.generator
    messages = chat_messages(content, generator, load_templates(generator.prompts))
    text = "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)
    return MadePrompt(text, Style.CHAT, estimated_tokens(messages), generator.prompt_tokens, generator.max_new_tokens)
