"""The figures of the bench, and the settings that it recommends."""

from bot.core.settings import GeneratorSettings
from bot.runtime.application import open_application
from bot.runtime.bench import Measurements, measure, recommended


async def test_the_speed_of_the_generator_is_measured(healthy, models, copying):
    """In tokens, with its own line."""
    there = GeneratorSettings(provider="local", model=copying)
    async with open_application(healthy.model_copy(update={"generator": there}), models) as application:
        figures = await measure(application)
    assert figures.tokens_a_second is not None
    assert figures.tokens_a_second > 1
    assert figures.lines()[-1].startswith("the generator: ")


async def test_the_bench_measures_and_recommends(healthy, models):
    """Figures that are there, and settings where others suit better."""
    async with open_application(healthy, models) as application:
        figures = await measure(application)
    assert min(figures.passages_a_second, figures.questions_a_second, figures.acceptances_a_second) > 0
    assert 0 < figures.read_ms < figures.one_question_ms
    assert len(figures.lines()) == 4
    slow = Measurements(10, 4000, 0.2, 3600, 0.1, 2.0, 900)
    advice = "\n".join(recommended(slow, healthy))
    assert "queue.capacity = 12" in advice
    assert "answer.read_passages = 4" in advice
    assert "quicker disk" in advice
    assert "generator.max_new_tokens = 60" in advice
    assert recommended(Measurements(900, 30, 60, 20, 500, 30, 200), healthy) == []
