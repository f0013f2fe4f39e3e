"""Tuned language models: the record of the active one and its predecessors, and whether it fits the settings.

Each lies in a folder of its own in the data folder, which never changes. Nothing here loads a model.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, cast

from bot.core.errors import SettingsError, TrainingError, WeightsError
from bot.core.settings import GeneratorSettings, Settings
from bot.inference.prompts import INSTRUCTED
from bot.inference.templates import load_templates
from bot.inference.weights import complete_folder, fingerprint
from bot.storage.base import GENERATORS

TRAINING = "training.json"
COMPARISON = "comparison.json"
Method = Literal["lora", "full"]
_RECORD = "active.json"
_SHORT = 8  # characters of the hash in a folder's name


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned model in the data folder.

    `base`, `revision`, `style` and `prompt` (settings by name) are those of its training, `base_weights` is the fingerprint of
    its base and `weights` the hash of its own files. `anyway` is the objection against which it was activated.
    """

    name: str
    base: str
    revision: str
    base_weights: str
    method: Method
    style: str
    prompt: Mapping[str, Any]
    weights: str
    activated: float  # seconds since the epoch
    anyway: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """The active tuned model and the earlier ones, the latest last. None stands for the base model."""

    active: Tuned | None = None
    before: tuple[Tuned | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The settings and the name of the local model to use.

    `warning` says why the active tuned model isn't used, or how its prompts differ from those of its training, and what to do;
    empty if all is well.
    """

    settings: GeneratorSettings
    name: str
    warning: str = ""


# --- choosing a model -------------------------------------------------------------------------------------------------


def chosen(settings: Settings) -> Chosen:
    """Return the model of the settings, tuned by the active tuned model if that fits it.

    Raises WeightsError if the tuned model is missing, or if it, the record or the base is damaged, because the base must not
    silently take its place.
    """
    generator = settings.generator
    plain = Chosen(generator, generator.model)
    active = read(settings.storage.folder).active
    if active is None:
        return plain
    if why := _unsuitable(active, generator, auto_download=settings.models.auto_download):
        return Chosen(generator, generator.model, f"The active tuned model {active.name} is not used, because {why}")
    folder = settings.storage.folder / GENERATORS / active.name
    if damage := _damage(folder, active):
        raise WeightsError(
            f"The active tuned model {active.name} {damage}: activate it again from the folder it was made in (`knowledge-bot "
            "finetune activate`), or go back: `knowledge-bot finetune revert`."
        )
    tuned = with_tuned(generator, folder, active.method, active.style)
    return Chosen(tuned, f"{generator.model} + {active.name}", _prompted_otherwise(active, generator))


def describe_generator(settings: Settings) -> str:
    """Describe for operators which model phrases answers, with any warning about the tuned model; empty if none does.

    Raises WeightsError as `chosen` does.
    """
    choice = chosen(settings)
    name = "" if settings.generator.provider == "none" else choice.name
    return ". ".join(filter(None, (name, choice.warning)))


def with_tuned(generator: GeneratorSettings, folder: Path, method: Method, style: str) -> GeneratorSettings:
    """Return the settings with the tuned model in `folder` and the style of its training."""
    model = {"adapter": folder} if method == "lora" else {"model": str(folder), "revision": "", "adapter": None}
    return generator.model_copy(update={"provider": "local", "style": style} | model)


def _unsuitable(active: Tuned, generator: GeneratorSettings, *, auto_download: bool) -> str:
    """Say why a tuned model doesn't fit the settings, and what to do; empty if it fits."""
    revert = "or take it back: `knowledge-bot finetune revert`."
    if generator.provider != "local":
        return f'generator.provider is {generator.provider}: set it to "local", {revert}'
    if generator.adapter is not None:
        return f"generator.adapter names another adapter: remove that setting, {revert}"
    named = (active.base, active.revision) == (base_name(generator.model), generator.revision)
    if named and active.method == "full":
        return ""  # it needs nothing of its base
    base = complete_folder(generator.model, generator.revision, auto_download=auto_download)
    # The same weights may lie elsewhere on another machine. Weights that are still missing are checked when they are loaded.
    if (named and base is None) or (base is not None and fingerprint(base) == active.base_weights):
        return ""
    if named:
        return (
            f"it was made from other weights than those in {base}: put the right ones back, tune the new ones, {revert}"
        )
    at = f" at revision {active.revision}" if active.revision else ""
    return f"it was made from {active.base}{at}: set generator.model (and generator.revision) to that, {revert}"


def _prompted_otherwise(active: Tuned, generator: GeneratorSettings) -> str:
    """Say how its prompts differ from those of its training, and what to do; empty if they don't."""
    ignored = {"style"} if active.style in INSTRUCTED else {"style", "persona", "language"}
    differ = [
        f"generator.{name} was {json.dumps(value, ensure_ascii=False)}"
        for name, value in active.prompt.items()
        if name not in ignored and getattr(generator, name, value) != value
    ]
    if _is_worded_otherwise(active, generator):
        differ.append("the wording in generator.prompts was another")
    if generator.style not in ("auto", active.style):
        differ.append(f'generator.style was "{active.style}", which it keeps')
    if not differ:
        return ""
    return (
        f"The active tuned model {active.name} was trained with other prompts, so that its answers may be worse: "
        f"{'; '.join(differ)}. Set that back, or train and compare anew with what is set now."
    )


def _is_worded_otherwise(active: Tuned, generator: GeneratorSettings) -> bool:
    if "templates" not in active.prompt:
        return False
    try:
        templates = load_templates(generator.prompts)
    except SettingsError:  # loading the model says so
        return True
    return bool(active.prompt["templates"] != templates.fingerprint(active.style))


def require_base(adapter: Path, base: Path) -> None:
    """Raise WeightsError if an adapter was tuned by this program on other weights than those in `base`. Blocking.

    Adapters from elsewhere don't record their base, and pass.
    """
    try:
        wanted = json.loads((adapter / TRAINING).read_text(encoding="utf-8"))["base_weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if fingerprint(base) != wanted:
        raise WeightsError(
            f"The adapter {adapter} was made from other weights than those in {base}: put the right ones back, name their "
            "folder or revision, or tune the new ones (`knowledge-bot finetune run`)."
        )


def base_name(model: str) -> str:
    """Return a model's id, or the absolute path of its folder, so that a folder has only one name."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model


def _damage(folder: Path, active: Tuned) -> str:
    if not folder.is_dir():
        return f"is missing ({folder} is not there)"
    return (
        "" if weights_hash(folder) == active.weights else f"is damaged (files of {folder} are not what was activated)"
    )


def weights_hash(folder: Path) -> str:
    """Return a hash of a tuned model's weights and configuration. Blocking; reads all of them."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        if file.is_file() and _is_model_file(file):
            with file.open("rb") as stream:
                digest.update(f"{file.name}\n{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _is_model_file(file: Path) -> bool:
    return file.name not in (TRAINING, COMPARISON) and file.suffix in (
        ".safetensors",
        ".json",
        ".jinja",
        ".model",
        ".txt",
    )


# --- the record -------------------------------------------------------------------------------------------------------


def read(storage: Path) -> Record:
    """Read the record of a data folder. Raises WeightsError if it is damaged."""
    file = storage / GENERATORS / _RECORD
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Record(_tuned(data["active"]), tuple(_tuned(one) for one in data["before"]))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{file} can't be read ({error}), so it is not known which tuned model is active: remove the file, and activate "
            "the model again (`knowledge-bot finetune activate`)."
        ) from error


def _tuned(data: Mapping[str, Any] | None) -> Tuned | None:
    return None if data is None else Tuned(**data)


def _write(storage: Path, record: Record) -> None:
    """Write the record, as a whole or not at all."""
    file = storage / GENERATORS / _RECORD
    unfinished = file.with_name(f".{_RECORD}.unfinished")
    with unfinished.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(record), indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)


def activate(storage: Path, folder: Path, training: Mapping[str, Any], anyway: str = "") -> Tuned:
    """Copy a tuned model into the data folder and make it the active one. Blocking. Raises TrainingError."""
    weights = weights_hash(folder)
    name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', folder.resolve().name).strip('.-') or 'tuned'}-{weights[:_SHORT]}"
    tuned = Tuned(
        name,
        base=training["base"],
        revision=training["revision"],
        base_weights=training["base_weights"],
        method=cast(Method, training["method"]),
        style=training["style"],
        prompt=training["prompt"],
        weights=weights,
        activated=time.time(),
        anyway=anyway,
    )
    generators = storage / GENERATORS
    try:
        generators.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = read(storage)
        _copy(folder, generators / name)
        if record.active is None or record.active.name != name:
            record = Record(record.active, record.before)
            _write(storage, Record(tuned, (*record.before, record.active)))
        else:
            _write(storage, Record(tuned, record.before))
    except OSError as error:
        raise TrainingError(
            f"{generators} can't be written ({error.strerror}): check its owner and the free space."
        ) from error
    return tuned


def _copy(folder: Path, to: Path) -> None:
    """Copy the files of a tuned model, without checkpoints, replacing the folder `to`."""
    unfinished = Path(mkdtemp(dir=to.parent, prefix=f".{to.name}-"))
    try:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, unfinished / file.name)
        if to.exists():
            shutil.rmtree(to)
        unfinished.rename(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def revert(storage: Path) -> Record:
    """Go back to the previous model and return the new record. Raises TrainingError if no tuned model is active."""
    record = read(storage)
    if record.active is None:
        raise TrainingError("No tuned model is active, so there is nothing to take back.")
    before = record.before or (None,)
    reverted = Record(before[-1], before[:-1])
    try:
        _write(storage, reverted)
    except OSError as error:
        raise TrainingError(f"{storage / GENERATORS} can't be written ({error.strerror}): check its owner.") from error
    return reverted
