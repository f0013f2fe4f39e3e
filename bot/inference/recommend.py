"""Recommend a small language model of the Hugging Face hub for this machine, by its memory and its speed.

Nothing is downloaded. The speed is measured with a model of random weights, because it depends only on their number.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bot.inference.memory import free_memory
from bot.inference.weights import choose_precision

_BYTES = {"float32": 4, "bfloat16": 2}
# Besides the weights a model needs memory for its prompt and what it computes.
_OVERHEAD = 1.3
_SPARE = 0.7  # the share of the free memory that a model may take
_ANSWER = 60  # tokens of a usual answer
_COMFORTABLE = 10.0  # seconds that writing it may take
_MEASURED = 16  # tokens


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A model of the hub that takes instructions, the best ones last."""

    model: str
    parameters: int  # millions
    licence: str


SUGGESTIONS = (
    Suggestion("HuggingFaceTB/SmolLM2-135M-Instruct", 135, "Apache-2.0"),
    Suggestion("google/gemma-3-270m-it", 268, "Gemma terms"),
    Suggestion("HuggingFaceTB/SmolLM2-360M-Instruct", 362, "Apache-2.0"),
    Suggestion("Qwen/Qwen2.5-0.5B-Instruct", 494, "Apache-2.0"),
    Suggestion("google/gemma-3-1b-it", 1000, "Gemma terms"),
    Suggestion("meta-llama/Llama-3.2-1B-Instruct", 1236, "Llama 3.2 Community"),
    Suggestion("Qwen/Qwen2.5-1.5B-Instruct", 1544, "Apache-2.0"),
    Suggestion("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1711, "Apache-2.0"),
    Suggestion("Qwen/Qwen2.5-7B-Instruct", 7616, "Apache-2.0"),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """The fit of a suggestion to a machine: bytes of memory it needs, tokens it writes a second, and whether both are good."""

    suggestion: Suggestion
    memory: int
    tokens_a_second: float
    has_room: bool
    is_quick: bool

    @property
    def fits(self) -> bool:
        return self.has_room and self.is_quick


def fits(free: int | None, dtype: str, rate: float) -> list[Fit]:
    """Return how each suggestion fits. `free`: bytes of memory, None if unknown; `rate`: millions of weights a second."""
    return list(_fits(free, dtype, rate))


def _fits(free: int | None, dtype: str, rate: float) -> Iterator[Fit]:
    for one in SUGGESTIONS:
        memory = round(one.parameters * 1e6 * _BYTES[dtype] * _OVERHEAD)
        speed = rate / one.parameters
        has_room = free is None or memory <= _SPARE * free
        yield Fit(one, memory, speed, has_room, speed * _COMFORTABLE >= _ANSWER)


def recommended(found: list[Fit]) -> Fit | None:
    """Return the best that fits, None if none does."""
    return next((one for one in reversed(found) if one.fits), None)


def measure() -> tuple[int | None, str, float]:
    """Return the arguments of `fits` for this machine. Blocking; takes some seconds."""
    dtype = choose_precision("auto").dtype
    return free_memory(), dtype, _measured_rate(dtype)


def _measured_rate(dtype: str) -> float:
    """Return the weights, in millions, that a model of the size of SmolLM2-135M computes a second."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    model: Any = LlamaForCausalLM(config).to(getattr(torch, dtype)).eval()
    with torch.inference_mode():
        moments = []
        state = model(torch.zeros(1, 64, dtype=torch.long), use_cache=True)
        for _ in range(_MEASURED):
            moments.append(time.perf_counter())
            state = model(torch.zeros(1, 1, dtype=torch.long), past_key_values=state.past_key_values, use_cache=True)
    # The median: another program may take the processor for a while.
    seconds = statistics.median(end - start for start, end in pairwise(moments))
    return float(model.num_parameters()) / 1e6 / seconds
