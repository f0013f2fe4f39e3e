"""The bot without an encoder: passages are found by their words, and the rest goes on as ever."""

import pytest

from bot.core.messages import Outcome, Phrased
from bot.core.settings import EncoderSettings, GeneratorSettings
from bot.inference.encoder import WordEncoder
from bot.inference.workers import Models
from bot.runtime.application import open_application
from tests.engine.test_qa import GUIDE, HELPFUL, ask


@pytest.fixture
def by_words(settings, models):
    """Settings without an encoder, and the models for them."""
    return settings.model_copy(update={"encoder": EncoderSettings(model="none")}), Models(WordEncoder(), models.reader)


async def test_questions_are_answered_and_declined(by_words, folder_of):
    """By BM25, the reader, and a calibration of its own."""
    settings, models = by_words
    folder_of({"guide.md": GUIDE, "shop.md": "# Shop\n\nThe shop is open from Monday to Friday.\n"})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        answer = await application.answering.engine.answer(ask("what temperature should the water have?"))
        assert answer.outcome in HELPFUL
        assert "92 to 96 degrees" in answer.text.replace("**", "")
        assert answer.citations[0].document == "guide.md"
        nothing = await application.answering.engine.consider(ask("zxcvb qwrt", "another"))
        assert (nothing.answer.outcome, nothing.judged.hits) == (Outcome.DECLINED, [])


async def test_a_single_model_does_the_rest(by_words, folder_of, copying):
    """The words find the passage, and the language model phrases the answer."""
    settings, models = by_words
    folder_of({"boiler.md": "# Boiler\n\nThe boiler weighs 62 kilograms. The boiler costs 42 euros.\n"})
    generator = GeneratorSettings(provider="local", model=copying, dtype="float32", passages=1)
    answer_settings = settings.answer.model_copy(update={"threshold": 0.0})
    chosen = settings.model_copy(update={"generator": generator, "answer": answer_settings})
    async with open_application(chosen, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        await application.answering.generator_loaded.wait()
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert (answer.text, answer.phrasing.outcome) == ("The boiler costs 42 euros.", Phrased.KEPT)


def test_texts_that_share_words_are_near_each_other():
    """So that gaps are grouped and duplicates found, the same in every process."""
    texts = ["How do I descale it?", "how do i descale it", "opening hours of the shop", "?"]
    vectors = WordEncoder().encode(texts)
    assert vectors[0] @ vectors[1] > 0.99
    assert abs(vectors[0] @ vectors[2]) < 0.3
    assert (vectors * vectors).sum(axis=1) == pytest.approx(1)
