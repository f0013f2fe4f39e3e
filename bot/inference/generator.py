"""Local language models: generate text from a prompt, token by token, with transformers.

`LocalModel` blocks and belongs to one thread. `GenerationWorker` loads and runs it in that thread and streams its text to the
event loop, where callers set their own deadlines and may close the stream at any time: a model that hangs blocks nobody.
"""

import asyncio
import copy
import math
import threading
import time
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from bot.core.errors import EngineBusy, GenerationFailed, WeightsError, to_install
from bot.core.settings import GeneratorSettings, ModelsSettings
from bot.inference import prompts
from bot.inference.memory import megabytes_of
from bot.inference.prompt_cache import PromptCache
from bot.inference.prompter import Encoded, Prompter
from bot.inference.prompts import Prompt, PromptContent
from bot.inference.threads import Worker
from bot.inference.tuned import require_base
from bot.inference.weights import Precision, Weights, choose_precision, find_weights, missing_files
from bot.observability import metrics

_log = structlog.stdlib.get_logger(__name__)


class Generator(Protocol):
    """A language model, on this machine or behind an address."""

    @property
    def name(self) -> str:
        """Return the name by which operators know the model."""

    @property
    def description(self) -> Mapping[str, object]:
        """Return facts about the model, for the log and for operators."""

    def stream(self, prompt: PromptContent | str) -> AsyncGenerator[str, None]:
        """Yield the model's answer to a prompt's content, or its continuation of a raw prompt, piece by piece.

        A piece may be empty, which shows that the model is at work. Closing the stream stops the model. It has no deadline of
        its own. Raises GenerationFailed and EngineBusy.
        """

    async def close(self) -> None:
        """Stop the model and release its resources."""


# --- the model --------------------------------------------------------------------------------------------------------


# Prompt-lookup decoding: where the prompt has the tokens written last, this many tokens after them are tried at once, and kept
# as far as the model would have written them. Answers copy from the prompt. Only for a decoder that writes one text.
_LOOKED_UP = 8


class LocalModel:
    """A loaded causal or encoder-decoder language model: `network` and `tokenizer` as transformers has them."""

    def __init__(self, weights: Weights, precision: Precision, settings: GeneratorSettings, name: str = "") -> None:
        """Load the model. `name` is shown instead of the settings' name for it.

        Raises WeightsError if the folder is damaged, holds something else, or has no tokenizer.
        """
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        started = time.perf_counter()
        self._torch = torch
        self._settings = settings
        self.name = name or settings.model
        try:
            self.network, self.tokenizer = load_parts(weights.folder, getattr(torch, precision.dtype), settings.adapter)
            if settings.quantization == "int8":
                from bot.inference.quantized import quantize

                quantize(self.network)
        except WeightsError:
            raise
        except Exception as error:  # the libraries raise nearly anything over a damaged or foreign folder
            raise WeightsError(f"{settings.model} can't be loaded from {weights.folder}: {error}") from error
        self.network.generation_config.max_length = None  # it would be taken for a second limit, and warned of
        self._two_parts: bool = bool(self.network.config.is_encoder_decoder)
        self.prompter = Prompter(self.tokenizer, self.network.config, self.network.generation_config, settings)
        self.style = self.prompter.style
        self._ends = self.prompter.ends
        self._prompt_cache = PromptCache(self.network)
        self.description: dict[str, object] = {
            "model": self.name,
            "source": weights.source,
            "style": self.style.value,
            "dtype": precision.dtype,
            "quantization": settings.quantization,
            "context": self.prompter.context,
            "megabytes": megabytes_of(self.network),
            "seconds": round(time.perf_counter() - started, 2),
        }

    def encode(self, prompt: Prompt) -> Encoded:
        """Return the prompt as tokens, shortened to fit."""
        return self.prompter.encode(prompt)

    def write(self, texts: Sequence["GeneratedText"], pause: Callable[[], None] = lambda: None) -> None:
        """Generate all texts in one batch. Each text gets its tokens and may end itself; `pause` is called between tokens."""
        from transformers import StoppingCriteriaList

        torch = self._torch
        for text in texts:
            text.begin(self.tokenizer, self._ends)
        with torch.inference_mode():
            ids, mask = self._padded([text.encoded.tokens for text in texts])
            config = self._generation_config(max(text.encoded.new for text in texts))
            given: dict[str, Any] = {}
            if not self._two_parts and len(texts) == 1:
                [prompt] = (text.encoded.tokens for text in texts)
                if len(prompt) + texts[0].encoded.new + _LOOKED_UP <= (self.prompter.context or math.inf):
                    config.prompt_lookup_num_tokens = _LOOKED_UP
                if self._prompt_cache.possible:
                    given["past_key_values"] = self._prompt_cache.cache_for(prompt)
            if config.do_sample and self._settings.seed:
                torch.manual_seed(self._settings.seed)
            length = 1 if self._two_parts else ids.shape[1]
            self.network.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=_penalty(self._settings.repetition_penalty, length),
                stopping_criteria=StoppingCriteriaList([_watcher(texts, length, pause)]),
                **given,
            )
            if given:
                self._prompt_cache.keep(prompt, given["past_key_values"])
        for text in texts:
            text.finish()

    def _padded(self, prompts_tokens: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Return tokens and mask, int64 [texts, longest prompt].

        Decoders are padded at the left, because they continue at the right. Padding is masked, so any token serves.
        """
        longest = max(map(len, prompts_tokens))
        ids, mask = [], []
        for tokens in prompts_tokens:
            gap = longest - len(tokens)
            padding, hidden = [tokens[0]] * gap, [0] * gap
            ids.append([*tokens, *padding] if self._two_parts else [*padding, *tokens])
            mask.append([*([1] * len(tokens)), *hidden] if self._two_parts else [*hidden, *([1] * len(tokens))])
        return self._torch.tensor(ids), self._torch.tensor(mask)

    def _generation_config(self, new: int) -> Any:
        """Return the model's own configuration (how its decoder starts, say) with the operator's settings."""
        settings = self._settings
        config = copy.deepcopy(self.network.generation_config)
        sampling = {"temperature": settings.temperature, "top_p": settings.top_p} if settings.do_sample else {}
        config.update(
            max_new_tokens=new,
            max_length=None,
            min_length=0,
            min_new_tokens=None,
            num_beams=1,
            early_stopping=False,
            length_penalty=1.0,
            no_repeat_ngram_size=0,
            repetition_penalty=1.0,
            do_sample=settings.do_sample,
            **({"temperature": 1.0, "top_p": 1.0, "top_k": 50, "typical_p": 1.0} | sampling),
            eos_token_id=list(self._ends) or None,
            pad_token_id=next(iter(self._ends), 0),  # fills a text that has ended
        )
        return config


class GeneratedText:
    """One text being written. Belongs to the model's thread, except for `stopped`."""

    def __init__(self, encoded: Encoded, pass_on: Callable[[str], None]) -> None:
        """Take `pass_on`, which is called with each piece of text, maybe empty, once no later token can change it."""
        self.encoded = encoded
        self.stopped = threading.Event()
        self.done = False
        self.tokens: list[int] = []
        self._pass_on = pass_on
        self._passed_on = 0  # characters
        self._tokenizer: Any = None
        self._ends: frozenset[int] = frozenset()

    def begin(self, tokenizer: Any, ends: frozenset[int]) -> None:
        self._tokenizer, self._ends = tokenizer, ends

    def take(self, token: int) -> bool:
        """Add a token; return whether the text has ended."""
        if not self.done:
            ended = token in self._ends
            if not ended:
                self.tokens.append(token)
            stop_there = self._pass_on_new(final=ended)
            self.done = ended or stop_there or len(self.tokens) >= self.encoded.new or self.stopped.is_set()
        return self.done

    def finish(self) -> None:
        """Pass on the text that was held back."""
        if not self.stopped.is_set():
            self._pass_on_new(final=True)

    def _pass_on_new(self, *, final: bool) -> bool:
        text = self._tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        text, stop_there = prompts.until_stop(text, self.encoded.stops)
        if not (final or stop_there):
            text = prompts.certain(text, self.encoded.stops)
        text = prompts.strip_thoughts(text)
        self._pass_on(text[self._passed_on :])
        self._passed_on = max(self._passed_on, len(text))
        return stop_there


def find_model(settings: GeneratorSettings, models: ModelsSettings) -> Weights:
    """Find the weights of the model in the settings. Blocking. Raises WeightsError if they are missing or incomplete."""
    weights = find_weights(settings.model, settings.revision, auto_download=models.auto_download, pickled=True)
    if missing := missing_files(weights.folder, pickled=True):
        raise WeightsError(f"{settings.model} is not complete: {weights.folder} lacks {', '.join(missing)}.")
    return weights


def load_model(settings: GeneratorSettings, models: ModelsSettings, name: str = "") -> LocalModel:
    """Find the weights, choose the number format and load the model. Takes seconds to minutes. Raises WeightsError."""
    weights = find_model(settings, models)
    if settings.adapter is not None:
        require_base(settings.adapter, weights.folder)
    # Weights of 8 bits are multiplied with numbers of 16 bits.
    wanted = "bfloat16" if settings.quantization == "int8" else settings.dtype
    return LocalModel(weights, choose_precision(wanted), settings, name)


def load_parts(folder: Path, dtype: Any, adapter: Path | None = None) -> tuple[Any, Any]:
    """Return (model, tokenizer) in evaluation mode. Raises nearly anything over a damaged folder."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    where = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **where)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    model = kind.from_pretrained(folder, config=config, dtype=dtype, weights_only=True, **where)
    if adapter is not None:
        model = _adapted(model, adapter)
    return model.eval(), tokenizer


def _adapted(model: Any, folder: Path) -> Any:
    """Return the model with the LoRA adapter merged into its weights, so that it is as fast as without."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise WeightsError(f"generator.adapter needs peft. Install it {to_install('lora')}") from error
    if not (folder / "adapter_config.json").is_file():
        raise WeightsError(f"generator.adapter: {folder} has no adapter_config.json, so it is no LoRA adapter.")
    # peft uses the old name, which doesn't concern operators.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:  # made for another model, or damaged
        raise WeightsError(f"The adapter {folder} doesn't fit the model: {error}") from error


def _penalty(penalty: float, prompt_length: int) -> Any:
    """Return a logits processor that penalises tokens the model has written, but not those of the prompt."""
    from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

    if penalty == 1:
        return LogitsProcessorList()
    return LogitsProcessorList([RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=prompt_length)])


def _watcher(texts: Sequence[GeneratedText], length: int, pause: Callable[[], None]) -> Any:
    """Return a stopping criterion that passes each text its new tokens, the first of which stands at `length`, and ends the
    texts that are done."""
    import torch
    from transformers import StoppingCriteria

    class Watcher(StoppingCriteria):
        def __init__(self) -> None:
            self._seen = length

        def __call__(self, input_ids: Any, *_: Any, **__: Any) -> Any:
            ended = [False] * len(texts)
            for tokens in input_ids[:, self._seen :].T.tolist():
                pause()
                ended = [text.take(token) for text, token in zip(texts, tokens, strict=True)]
            self._seen = input_ids.shape[1]
            return torch.tensor(ended)

    return Watcher()


# --- the worker -------------------------------------------------------------------------------------------------------

_END = object()
# The longest that a large model takes for a token. A model that was stopped and still runs after this hangs.
_STOPS_WITHIN = 15.0  # seconds
# A model that hangs this often isn't tried again: each time costs a thread with its memory.
_MOST_STUCK = 3


@dataclass(eq=False, slots=True)
class _TextRequest:
    """A text to generate, with the queue by which its pieces reach the caller's event loop."""

    prompt: Prompt
    loop: asyncio.AbstractEventLoop
    pieces: "asyncio.Queue[str | Exception | object]" = field(default_factory=asyncio.Queue)
    text: GeneratedText | None = None
    left: float | None = None  # when its caller gave up, on the monotonic clock

    def send(self, piece: "str | Exception | object") -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)


class GenerationWorker(Worker[LocalModel, "list[_TextRequest]"]):
    """A Generator that loads a model in a thread of its own and generates waiting texts there, in batches.

    A thread in which the model hangs is abandoned when the next text is wanted, and another thread takes over.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], LocalModel],
        *,
        side_by_side: int,
        capacity: int,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread. At most `capacity` texts wait or are being written, `side_by_side` of them in one batch.

        `name` and `load` as for `Worker`. `pause` is called in the thread between tokens, and may block briefly to leave the
        processor to others.
        """
        self._side_by_side = side_by_side
        self._capacity = capacity
        self._between_tokens = pause
        self._waiting: deque[_TextRequest] = deque()
        super().__init__(name, load, steps_back=True)

    @property
    def name(self) -> str:
        return self.models.name

    @property
    def description(self) -> Mapping[str, object]:
        return self.models.description

    @property
    def prompter(self) -> Prompter:
        """Return the prompter, which makes the prompts of the model."""
        return self.models.prompter

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Do as `Generator.stream`; instructions are followed too."""
        request = _TextRequest(prompt, asyncio.get_running_loop())
        with self._changed:
            if self._closed:
                raise GenerationFailed("the bot is being stopped")
            self._replace_if_stuck()
            if len(self._waiting) + len(self._running or ()) >= self._capacity:
                raise EngineBusy(len(self._waiting))
            self._waiting.append(request)
            self._changed.notify()
        try:
            while (piece := await request.pieces.get()) is not _END:
                if isinstance(piece, Exception):
                    raise piece
                yield str(piece)
        finally:
            with self._changed:
                request.left = time.monotonic()
                if request.text is not None:
                    request.text.stopped.set()
                if request in self._waiting:
                    self._waiting.remove(request)

    def _replace_if_stuck(self) -> None:
        """Start another thread if all callers of the running batch left long ago.

        Raises GenerationFailed if too many threads hang already.
        """
        stuck = self._running
        if not stuck or any(
            request.left is None or time.monotonic() - request.left <= _STOPS_WITHIN for request in stuck
        ):
            return
        if self._abandoned == _MOST_STUCK:
            raise GenerationFailed("the model hangs")
        self._replace_thread(stuck)
        _log.warning("generation hangs: another thread takes over", hanging=self._abandoned, at_most=_MOST_STUCK)

    def _pause(self) -> float | None:
        return 0.0 if self._waiting else None

    def _take(self) -> list[_TextRequest]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._side_by_side))]

    def _run(self, requests: list[_TextRequest]) -> None:
        written: list[_TextRequest] = []
        for request in requests:
            try:
                text = GeneratedText(self.models.encode(request.prompt), request.send)
            except BaseException as error:
                request.send(_failed(error))
                continue
            with self._changed:
                request.text = text
                if request.left is None:
                    written.append(request)
        texts = [request.text for request in written if request.text is not None]
        if not texts:
            return
        try:
            self.models.write(texts, self._between_tokens)
            end: object = _END
        except BaseException as error:
            end = _failed(error)
        for request in written:
            request.send(end)
        metrics.TOKENS.labels("prompt").inc(sum(len(text.encoded.tokens) for text in texts))
        metrics.TOKENS.labels("completion").inc(sum(len(text.tokens) for text in texts))

    def _give_up_waiting(self) -> None:
        """Stop all texts, and send those who wait for them an error."""
        for request in (*(self._running or ()), *self._waiting):
            if request.text is not None:
                request.text.stopped.set()
            request.send(GenerationFailed("the bot is being stopped"))
        self._waiting.clear()


def _failed(error: BaseException) -> GenerationFailed:
    _log.warning("generation failed", error=type(error).__name__, exc_info=error)
    return GenerationFailed(f"the model fails ({type(error).__name__})")
