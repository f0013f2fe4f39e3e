"""A language model behind an OpenAI-compatible address: OpenAI, vLLM, Ollama, llama.cpp, TGI, Hugging Face endpoints.

The `openai` library repeats requests that a busy server refuses (429) or fails at (5xx), with growing pauses. A stream that
breaks off raises GenerationFailed. Only the prompt is sent: the question, the passages and the earlier turns.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import structlog

from bot.core.errors import GenerationFailed, WeightsError, to_install
from bot.core.settings import GeneratorSettings
from bot.inference import prompts
from bot.inference.prompts import Message, PromptContent
from bot.inference.templates import Templates, load_templates
from bot.observability import metrics

_log = structlog.stdlib.get_logger(__name__)
_CONNECT_SECONDS = 5.0
_RETRIES = 2  # of a request that the server refuses or that gets no answer, with growing pauses
# Characters of a token, an estimate on the safe side, for budgeting before the server has counted.
_CHARACTERS_PER_TOKEN = 3
_MOST_STOPS = 4  # the limit of the interface
# Names of parameters for newer models.
_RENAMED = {"max_tokens": "max_completion_tokens"}
_NEEDLESS = ("stream_options", "temperature", "top_p", "seed", "stop")


class DailyBudget:
    """The tokens that may be used today (UTC), which outlasts a restart. Belongs to the event loop."""

    def __init__(self, file: Path, tokens_per_day: int) -> None:
        """Read the tokens used so far. `tokens_per_day` 0 means no limit."""
        self._file = file
        self._limit = tokens_per_day
        self._day, self._used = _today(), 0
        with suppress(OSError, ValueError, KeyError, TypeError):  # no file yet, or a damaged one: begin anew
            kept = json.loads(file.read_text(encoding="utf-8"))
            self._day, self._used = str(kept["day"]), int(kept["tokens"])

    @property
    def used(self) -> int:
        """Return the tokens used today, or set aside for texts in progress."""
        if self._day != _today():
            self._day, self._used = _today(), 0
        return self._used

    def set_aside(self, tokens: int) -> None:
        """Reserve tokens for a text. Raises GenerationFailed if fewer are left."""
        if self._limit and self.used + tokens > self._limit:
            raise GenerationFailed(f"today's {self._limit} tokens are used up (generator.tokens_per_day)")
        self._used = self.used + tokens

    async def settle(self, set_aside: int, used: int) -> None:
        """Replace a reservation by the tokens really used."""
        self._used = max(0, self.used - set_aside + used)
        if self._limit:
            await asyncio.to_thread(self._save, {"day": self._day, "tokens": self._used})

    def _save(self, state: Mapping[str, object]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self._file)


class RemoteGenerator:
    """A Generator that calls the chat completions of a server."""

    def __init__(self, settings: GeneratorSettings, budget: DailyBudget) -> None:
        """Import the library, which is large: blocks for a second.

        Raises WeightsError if it isn't installed, and SettingsError over wrong templates.
        """
        try:
            import openai
        except ImportError as error:
            raise WeightsError(
                f'generator.provider = "openai" needs the package openai. Install it {to_install("openai")}'
            ) from error
        self._openai = openai
        self._settings = settings
        self._templates = load_templates(settings.prompts)
        self._budget = budget
        self._client = openai.AsyncOpenAI(
            base_url=settings.base_url,
            # Self-hosted servers need no key, but the library does.
            api_key=settings.api_key.get_secret_value() or "none",
            max_retries=_RETRIES,
            timeout=openai.Timeout(settings.deadline_seconds, connect=_CONNECT_SECONDS),
        )
        self._chat = self._client.chat.completions  # imports more of the library, which takes a while
        self._unwanted: set[str] = set()  # parameters that this server refuses
        self.name = settings.model
        self.description: Mapping[str, object] = {"model": settings.model, "source": settings.base_url}

    async def stream(self, prompt: PromptContent | str) -> AsyncGenerator[str, None]:
        messages = chat_messages(prompt, self._settings, self._templates)
        estimate = estimated_tokens(messages)
        reckoned = estimate + self._settings.max_new_tokens
        self._budget.set_aside(reckoned)
        usage = _Usage(0, 0)
        try:
            async with aclosing(self._written(messages, usage)) as pieces:
                async for piece in pieces:
                    yield piece
        except self._openai.APIStatusError as error:
            raise GenerationFailed(_refusal(error.status_code)) from error
        except (self._openai.APIError, self._openai.OpenAIError, OSError, ValueError) as error:
            raise GenerationFailed(f"the server can't be reached or breaks off ({type(error).__name__})") from error
        except Exception as error:  # the library doesn't wrap all errors of its transport
            _log.warning("stream broken", error=type(error).__name__)
            raise GenerationFailed(f"the server breaks off ({type(error).__name__})") from error
        finally:
            if usage.asked and not usage.counted:  # cut off, or the server doesn't count
                usage.prompt = estimate
            await self._budget.settle(reckoned, usage.prompt + usage.completion)
            metrics.TOKENS.labels("prompt").inc(usage.prompt)
            metrics.TOKENS.labels("completion").inc(usage.completion)

    async def close(self) -> None:
        await self._client.close()

    async def _written(self, messages: list[Message], usage: "_Usage") -> AsyncGenerator[str, None]:
        """Yield the pieces of the text; `usage` is updated as far as the server reports it."""
        text = passed_on = ""
        async with await self._request(messages) as chunks:
            usage.asked = True
            async for chunk in chunks:
                if chunk.usage is not None:
                    usage.counted = True
                    usage.prompt, usage.completion = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                choice = chunk.choices[0] if chunk.choices else None
                if choice is None:
                    continue
                piece = choice.delta.content or ""
                usage.completion += bool(piece) and not usage.counted  # most servers send one token per piece
                text, stop_there = prompts.until_stop(text + piece, self._settings.stop)
                visible = prompts.strip_thoughts(prompts.certain(text, self._settings.stop))
                yield visible[len(passed_on) :]
                passed_on = max(passed_on, visible, key=len)
                if stop_there:
                    return
        yield prompts.strip_thoughts(text)[len(passed_on) :]

    async def _request(self, messages: list[Message]) -> Any:
        """Begin a text. Parameters that this server refuses are renamed or left out, from now on."""
        while True:
            try:
                return await self._chat.create(**self._parameters(messages))
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:
                parameter = self._refused(error)
                if parameter is None:
                    raise
                self._unwanted.add(parameter)
                _log.info("parameter left out", parameter=parameter, reason="the server refuses it")

    def _refused(self, error: Any) -> str | None:
        """Return the parameter that a server has refused, if it can be renamed or left out."""
        message = f"{getattr(error, 'param', None) or ''} {error}"
        return next((name for name in (*_RENAMED, *_NEEDLESS) if name in message and name not in self._unwanted), None)

    def _parameters(self, messages: list[Message]) -> dict[str, Any]:
        settings = self._settings
        parameters: dict[str, Any] = {
            "model": settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature if settings.do_sample else 0,
        }
        if settings.do_sample:
            parameters["top_p"] = settings.top_p
        if settings.seed:
            parameters["seed"] = settings.seed
        if settings.stop:
            parameters["stop"] = list(settings.stop[:_MOST_STOPS])
        kept = {name: value for name, value in parameters.items() if name not in self._unwanted}
        return kept | {new: parameters[old] for old, new in _RENAMED.items() if old in self._unwanted}


def chat_messages(prompt: PromptContent | str, settings: GeneratorSettings, templates: Templates) -> list[Message]:
    """Return the messages that are sent for a prompt, shortened to about `prompt_tokens`."""
    if isinstance(prompt, str):
        return [Message("user", prompt)]
    content = prompts.harmless_content(prompt, stops=templates.chat.stop)
    fitting = prompts.fitted(
        content, settings.prompt_tokens, lambda content: estimated_tokens(prompts.chat(content, templates))
    )
    return prompts.chat(fitting, templates)


def estimated_tokens(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages) // _CHARACTERS_PER_TOKEN


class _Usage:
    """The tokens of one text. `counted`: reported by the server, not estimated."""

    def __init__(self, prompt: int, completion: int) -> None:
        self.prompt, self.completion = prompt, completion
        self.asked = self.counted = False


def _refusal(status: int) -> str:
    known = {
        401: "the server refuses the key (generator.api_key)",
        403: "the server refuses the key (generator.api_key)",
        404: "the server knows no such model or address (generator.model, generator.base_url)",
        429: "the server is busy, or its quota is used up",
    }
    return known.get(status, f"the server answers with status {status}")


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
