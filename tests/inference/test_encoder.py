"""The real encoder: vectors as the original library makes them, tokens counted as the model counts them."""

from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from bot.inference.encoder import Encoder, Pair
from bot.inference.weights import Precision, choose_precision, find_weights

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = [
    "What is the capital?",
    "a",
    "",
    "word " * 400,
    "Ünïcödé 文字 \U0001f600",
    "The cat sat on the mat.\n\nIt was red.",
]


@pytest.fixture(scope="module")
def plain_vectors():
    """The vectors of the texts by sentence-transformers itself, in float32."""
    model = SentenceTransformer(str(find_weights(MODEL).folder), device="cpu", local_files_only=True)
    return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


def test_float32_vectors_are_those_of_sentence_transformers(plain_vectors):
    """Our batching by length and our own normalising change nothing."""
    encoder = Encoder(find_weights(MODEL), Precision("float32", "test"), MODEL)
    np.testing.assert_allclose(encoder.encode(TEXTS), plain_vectors, atol=1e-5)


def test_bfloat16_vectors_agree_with_float32(plain_vectors):
    """The faster format points the same way."""
    encoder = Encoder(find_weights(MODEL), Precision("bfloat16", "test"), MODEL)
    cosines = (encoder.encode(TEXTS) * plain_vectors).sum(axis=1)
    assert cosines.min() > 0.999


def test_vectors_have_unit_length_whatever_the_text(encoder):
    """Empty, very long and foreign texts included, each row is one text's."""
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_tokens_are_counted_without_the_special_ones_and_without_a_limit(encoder):
    """The window is what fits beside the two special tokens."""
    assert encoder.count_tokens(["hello world", "", "word " * 1000]) == [2, 0, 1000]
    assert encoder.window == 254


def test_the_identity_names_the_weights_not_the_format(encoder):
    """An index made with bfloat16 can be searched with float32."""
    other = Encoder(find_weights(MODEL), Precision("float32", "test"), MODEL)
    assert other.identity == encoder.identity
    assert encoder.identity.startswith(f"{MODEL}@")


def test_the_chosen_format_comes_with_its_reason():
    """What is set is taken; what is automatic is explained."""
    assert choose_precision("float32").reason == "set by the settings"
    automatic = choose_precision("auto")
    assert automatic.dtype in ("float32", "bfloat16")
    assert "bfloat16" in automatic.reason or "times as fast" in automatic.reason


# --- word by word -----------------------------------------------------------------------------------------------------

BADGE = "i lost my badge"
STOLEN = "Access\nKeys and cards\nReport a missing or stolen access card to the front desk at once."
OTHERS = [
    "Travel\nTrains\nBook train tickets with the travel desk. A seat reservation is paid for as well.",
    "Access\nOpening hours\nThe front desk is open from 8 to 18 o'clock on working days.",
    "Health\nLosing weight\nThe canteen marks light dishes with a green leaf.",
]


def test_what_is_said_in_other_words_matches_better_than_the_rest(encoder: Encoder) -> None:
    right, *others = encoder.match([Pair(BADGE, text) for text in (STOLEN, *OTHERS)])
    assert right > max(others)


def test_a_text_has_all_of_its_own_words(encoder: Encoder) -> None:
    assert encoder.match([Pair(STOLEN, STOLEN)]) == pytest.approx([1.0], abs=0.01)


def test_a_match_does_not_depend_on_what_else_is_compared(encoder: Encoder) -> None:
    """Nor on its place, or on padding."""
    pairs = [Pair(BADGE, text) for text in (*OTHERS, STOLEN * 20)] + [Pair("is there a canteen?", OTHERS[2])]
    together = encoder.match(pairs)
    assert together == pytest.approx([encoder.match([pair])[0] for pair in pairs], abs=0.02)  # bfloat16
    assert together == pytest.approx(encoder.match(pairs[::-1])[::-1], abs=0.02)


def test_the_words_of_the_latest_passages_are_kept(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passage that is compared again isn't encoded again, up to 300 of them: these take 45 MB."""
    encoded: set[str] = set()
    preprocess = SentenceTransformer.preprocess

    def noted(model: SentenceTransformer, texts: list[str], **options: Any) -> Any:
        encoded.update(texts)
        return preprocess(model, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "preprocess", noted)
    oldest, *latest = [Pair(BADGE, f"badge {number}") for number in range(301)]
    first = encoder.match([oldest, *latest])
    assert encoded == {BADGE, oldest.passage, *(pair.passage for pair in latest)}
    encoded.clear()
    assert encoder.match(latest) == pytest.approx(first[1:], abs=0.02)
    assert encoded == {BADGE}
    encoder.match([oldest])
    assert encoded == {BADGE, oldest.passage}


def test_no_words_match_nothing(encoder: Encoder) -> None:
    assert encoder.match([Pair("", STOLEN), Pair(BADGE, "")]) == [0.0, 0.0]
    assert encoder.match([]) == []
