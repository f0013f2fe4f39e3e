"""Which language model suits a machine."""

import json

import pytest

from bot.inference.memory import free_memory
from bot.inference.recommend import SUGGESTIONS, fits, recommended


def test_the_memory_that_is_free_is_known():
    """On every machine that the tests run on."""
    assert (free_memory() or 0) > 10**8


@pytest.mark.parametrize(
    ("gigabytes", "rate", "best"),
    [
        (16, 3500, "Qwen/Qwen2.5-0.5B-Instruct"),  # 7 tokens a second of it, 3.5 of the next
        (16, 1000, "HuggingFaceTB/SmolLM2-135M-Instruct"),
        (1, 10**6, "google/gemma-3-270m-it"),  # the next one takes 0.94 GB
        (None, 10**6, "Qwen/Qwen2.5-7B-Instruct"),
        (16, 100, None),
        (0.1, 10**6, None),
    ],
)
def test_the_largest_model_that_has_room_and_is_quick_is_recommended(gigabytes, rate, best):
    """Where the free memory isn't known, the speed decides alone."""
    found = fits(gigabytes and round(gigabytes * 1e9), "bfloat16", rate)
    assert [one.suggestion for one in found] == list(SUGGESTIONS)
    chosen = recommended(found)
    assert (chosen.suggestion.model if chosen else None) == best


def test_weights_of_32_bits_take_twice_the_memory():
    """On processors that don't compute 16 bits."""
    [small, *_], [large, *_] = fits(None, "bfloat16", 1), fits(None, "float32", 1)
    assert (small.memory, large.memory) == (351_000_000, 702_000_000)


def test_the_command_measures_this_machine_and_names_a_model(command):
    """With memory, speed and licence of each; for scripts as JSON."""
    found = json.loads(command("models", "recommend", "--json").stdout)
    assert [one["suggestion"]["licence"] for one in found] == [one.licence for one in SUGGESTIONS]
    assert found[0]["tokens_a_second"] > found[-1]["tokens_a_second"] > 0
    assert sum(one["recommended"] for one in found) == any(one["fits"] for one in found)
