"""The configured models, with the place and size of their files, and their removal from the cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import WeightsError
from bot.core.settings import Settings
from bot.inference.encoder import NO_MODEL
from bot.inference.span_model import SHIPPED
from bot.inference.tuned import chosen, read
from bot.inference.weights import Weights, cached_folder, choose_precision, find_weights, missing_files
from bot.storage.base import GENERATORS

_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
# The settings of models for tasks that write, which are loaded in the number format that suits the machine.
_WRITE = frozenset({"summarise_model", "translate_model"})
_FILES = ("*.safetensors", "*.bin")


@dataclass(frozen=True, slots=True)
class Installed:
    """A configured model.

    `dtype` is the number format in which it runs and `memory` the bytes that its weights take then. `missing` says what to do
    if it can't be used as it is, or not as it was trained. `folder` is None if none of its files are present.
    """

    role: str
    model: str
    folder: Path | None
    source: str = ""
    size: int = 0
    dtype: str = ""
    memory: int = 0
    missing: str = ""


def installed(settings: Settings) -> Iterator[Installed]:
    """Yield the models of the settings. Blocking: reads files and loads the libraries."""
    if settings.encoder.model != NO_MODEL:
        yield _found("encoder", settings.encoder.model, settings.encoder.revision, "auto")
    reader = settings.reader
    yield _found("reader", reader.model or str(SHIPPED), reader.revision, "auto")
    generator = settings.generator
    if generator.provider == "local":
        dtype = "int8" if generator.quantization == "int8" else generator.dtype
        yield _found("generator", generator.model, generator.revision, dtype, pickled=True)
        yield from _tuned(settings)
    elif generator.provider == "openai":
        yield Installed("generator", generator.model, None, source=generator.base_url)
    for name, model in settings.tasks:
        if name.endswith("_model") and model:
            yield _found(name.removesuffix("_model"), model, "", "auto" if name in _WRITE else "float32", pickled=True)


def _tuned(settings: Settings) -> Iterator[Installed]:
    """Yield the active tuned model, if there is one, with any warning about it."""
    active = read(settings.storage.folder).active
    if active is None:
        return
    folder = settings.storage.folder / GENERATORS / active.name
    try:
        problem = chosen(settings).warning
    except WeightsError as error:
        problem = str(error)
    there = [file for file in folder.glob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in there)
    source = f"active, made from {active.base}"
    yield Installed("tuned", active.name, folder if there else None, source, size, missing=problem)


def _found(role: str, model: str, revision: str, dtype: str, *, pickled: bool = False) -> Installed:
    try:
        weights = find_weights(model, revision, pickled=pickled)
        lacks = missing_files(weights.folder, pickled=pickled)
        problem = f"lacks {', '.join(lacks)}" if lacks else ""
    except WeightsError as error:
        folder = cached_folder(model, revision)
        if folder is None:
            return Installed(role, model, None, missing=str(error))
        weights = Weights(folder, "Hugging Face cache")
        problem = f"lacks {', '.join(missing_files(folder, pickled=pickled))}; fetch it again: models download {model}"
    if dtype == "auto":
        dtype = choose_precision("auto").dtype
    size = sum(file.stat().st_size for file in weights.folder.rglob("*") if file.is_file())
    memory = 0 if problem else parameter_count(weights.folder) * _BYTES[dtype]
    return Installed(role, model, weights.folder, weights.source, size, dtype, memory, problem)


def parameter_count(folder: Path) -> int:
    """Return the number of parameters of a model, an estimate for pickled weights, without loading them."""
    from safetensors import safe_open

    files = [file for pattern in _FILES for file in folder.rglob(pattern)]

    safe = [file for file in files if file.suffix == ".safetensors"]
    if not safe:
        return sum(file.stat().st_size for file in files) // _BYTES["float32"]
    count = 0
    for file in safe:
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a mapping
                size = 1
                for length in tensors.get_slice(name).get_shape():
                    size *= length
                count += size
    return count


def remove(model: str) -> int:
    """Delete a model from the Hugging Face cache; return the bytes freed. Raises WeightsError if it isn't there."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        repos = []
    else:
        repos = [repo for repo in cache.repos if repo.repo_type == "model" and repo.repo_id == model]
    if not repos:
        where = (
            "is a folder of yours, which you may delete yourself"
            if Path(model).expanduser().is_dir()
            else "is not there"
        )
        raise WeightsError(f"{model} {where}; only models in the Hugging Face cache are removed.")
    strategy = cache.delete_revisions(*(revision.commit_hash for repo in repos for revision in repo.revisions))
    strategy.execute()
    return strategy.expected_freed_size
