"""Prompts and answers as tokens of one model. Needs its tokenizer and configuration, but not its weights.

Training and serving both use it, so that prompts are the same in both, token for token.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.core.errors import WeightsError
from bot.core.settings import GeneratorSettings
from bot.inference import prompts
from bot.inference.prompts import Instruction, Prompt, PromptContent, Style
from bot.inference.templates import Templates, load_templates

# Architectures that summarise; their prompt is the passages alone.
_SUMMARISERS = frozenset({"bart", "pegasus", "pegasus_x", "led", "bigbird_pegasus", "mbart"})
# Architectures that have learned many tasks, each by a prefix. Others that are trained like them have learned one.
_TAKE_PREFIX = frozenset({"t5", "mt5", "umt5", "longt5"})
# A tokenizer without a limit has a huge number.
_NO_LIMIT = 1_000_000
_ANSWER = "(the answer)"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as `tokens`, and the number of tokens that may follow."""

    tokens: list[int]
    new: int
    stops: tuple[str, ...] = ()


class Prompter:
    """Makes prompts for one model, in its style."""

    def __init__(self, tokenizer: Any, config: Any, generation: Any, settings: GeneratorSettings) -> None:
        """Take the model's configurations, `config` and `generation`. Blocking. Raises SettingsError over wrong templates."""
        self._tokenizer = tokenizer
        self._settings = settings
        self._two_parts: bool = bool(config.is_encoder_decoder)
        self.architecture: str = config.model_type
        self._takes_prefix = self.architecture in _TAKE_PREFIX
        self.style = _style(settings.style, config.model_type, self._two_parts, tokenizer, settings.model)
        self.context = _context(config, tokenizer)
        self.ends = _end_tokens(generation, config, tokenizer)
        self._special_tokens = sorted(_special_tokens(tokenizer), key=len, reverse=True)
        self.templates = load_templates(settings.prompts)
        self._stops = (*settings.stop, *self.templates.stops(self.style))

    @property
    def takes_orders(self) -> bool:
        """Return whether the model follows an order about a text. Other models were made for one purpose."""
        return self._takes_prefix or not self._two_parts

    @property
    def token_limits(self) -> tuple[int, int]:
        """Return the largest number of tokens of (a prompt, the text behind it)."""
        new, budget = self._settings.max_new_tokens, self._settings.prompt_tokens
        if self.context is not None:
            new = min(new, self.context - 1 if self._two_parts else self.context // 2)
            budget = min(budget, self.context - (0 if self._two_parts else new))
        return budget, new

    def encode(self, prompt: Prompt) -> Encoded:
        """Return the prompt as tokens, shortened to fit."""
        settings = self._settings
        budget, new = self.token_limits
        if isinstance(prompt, str):
            return Encoded(self._tokens(prompt)[-budget:], new, settings.stop)
        if isinstance(prompt, Instruction):
            return Encoded(self._instruction(prompt, budget), new, self._stops)
        content = prompts.harmless_content(prompt, self._special_tokens, self._stops)
        content = prompts.fitted(content, budget, lambda content: len(self._prompt(content, self.templates)))
        tokens = self._prompt(content, self.templates)
        if len(tokens) > budget:
            tokens = self._prompt(content, self.templates.without_examples)
        return Encoded(tokens[-budget:], new, self._stops)

    def _prompt(self, content: PromptContent, templates: Templates) -> list[int]:
        if self.style is Style.CHAT:
            # The template has written the special tokens.
            return self._tokens(prompts.without_thinking(self._chat(prompts.chat(content, templates))), special=False)
        if self.style is Style.DIALOGUE:
            return self._tokens(prompts.dialogue(content, self._tokenizer.eos_token, templates))
        make = {Style.QUESTION: prompts.question_and_context, Style.SUMMARY: prompts.summary}
        return self._tokens(make.get(self.style, prompts.completion)(content, templates))

    def _instruction(self, instruction: Instruction, budget: int) -> list[int]:
        """Return an instruction as tokens; the end of its text is left out where it is too long."""

        def encoded(text: str) -> list[int]:
            given = replace(instruction, text=text)
            if self.style is Style.CHAT:
                chat = self._from_template(prompts.instructed(given))
                return self._tokens(prompts.without_thinking(chat), special=False)
            if self.style is Style.DIALOGUE:
                return self._tokens(f"{given.text}{self._tokenizer.eos_token}")
            if self.style is Style.COMPLETION:
                return self._tokens(prompts.labelled(given))
            return self._tokens(f"{given.prefix}{given.text}" if self._takes_prefix else given.text)

        text = prompts.harmless(instruction.text, self._special_tokens)
        return encoded(prompts.shortened(text, budget, lambda text: len(encoded(text))))[-budget:]

    def _chat(self, messages: Sequence[prompts.Message]) -> str:
        """Return the messages in the model's template. Templates without a system role raise an error or drop its message."""
        with suppress(Exception):  # a template is a program, and may raise anything
            text = self._from_template(messages)
            if messages[0].content.strip() in text:
                return text
        return self._from_template(prompts.without_system(messages))

    def _from_template(self, messages: Sequence[prompts.Message], *, asking: bool = True) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                tokenize=False,
                add_generation_prompt=asking,
                enable_thinking=False,  # ignored by templates without thinking
            )
        )

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of a prompt, with its special tokens."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    # --- answers

    def answer(self, text: str) -> list[int]:
        """Return the tokens of an answer as the model should write it, with the token that ends it."""
        if self.style is Style.COMPLETION:
            # An empty line would end the answer.
            text = " " + text.replace("\n\n", "\n")
        tokens = self._tokens(text, special=False)
        return [*tokens, *self._ending()]

    def _ending(self) -> list[int]:
        """Return the tokens behind an answer: in a chat, those of the template up to the first end of a turn."""
        if self.style is Style.CHAT:
            messages = [prompts.Message("user", "Hello"), prompts.Message("assistant", _ANSWER)]
            _, found, behind = self._from_template(messages, asking=False).rpartition(_ANSWER)
            tokens = self._tokens(behind, special=False) if found else []
            positions = [position for position, token in enumerate(tokens) if token in self.ends]
            if positions:
                return tokens[: positions[0] + 1]
        end = self._tokenizer.eos_token_id
        return [end if end is not None else min(self.ends)] if self.ends else []

    def _tokens(self, text: str, *, special: bool = True) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def load_prompter(folder: Path, settings: GeneratorSettings) -> Prompter:
    """Return the prompter of the model in a folder, without its weights. Blocking. Raises WeightsError and SettingsError."""
    config, tokenizer, generation = load_without_weights(folder, settings.model)
    return Prompter(tokenizer, config, generation, settings)


def load_without_weights(folder: Path, name: str) -> tuple[Any, Any, Any]:
    """Return (configuration, tokenizer, generation configuration) of the model in a folder. Blocking. Raises WeightsError."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    where = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **where)
        tokenizer = AutoTokenizer.from_pretrained(folder, **where)
        if (folder / "generation_config.json").is_file():
            return config, tokenizer, GenerationConfig.from_pretrained(folder, local_files_only=True)
        return config, tokenizer, GenerationConfig.from_model_config(config)
    except Exception as error:  # the libraries raise nearly anything over a damaged or foreign folder
        raise WeightsError(f"{name} can't be loaded from {folder}: {error}") from error


def _style(wanted: str, kind: str, two_parts: bool, tokenizer: Any, model: str) -> Style:
    if wanted != "auto":
        return Style(wanted)
    if two_parts:
        return Style.SUMMARY if kind in _SUMMARISERS else Style.QUESTION
    if template := tokenizer.chat_template:
        # DialoGPT's template has no roles: it joins turns by the end-of-text token.
        return Style.CHAT if "role" in str(template) else Style.DIALOGUE
    return Style.DIALOGUE if "dialo" in model.lower() else Style.COMPLETION


def _special_tokens(tokenizer: Any) -> set[str]:
    added = (str(token) for token in tokenizer.added_tokens_decoder.values())
    return {*map(str, tokenizer.all_special_tokens), *added}


def _end_tokens(generation: Any, config: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end the model's text."""
    ends: set[int] = set()
    for given in (generation.eos_token_id, getattr(config, "eos_token_id", None), tokenizer.eos_token_id):
        ends |= set(given) if isinstance(given, list | tuple) else {given} if given is not None else set()
    return frozenset(ends)


def _context(config: Any, tokenizer: Any) -> int | None:
    """Return the length of the model's context in tokens, None if it has no limit."""
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(known, default=None)
