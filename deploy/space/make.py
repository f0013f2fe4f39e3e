"""Makes a Hugging Face Space of the bot in one step, with the documents of a folder.

python deploy/space/make.py --documents knowledge --to /tmp/space       # only write it
python deploy/space/make.py --documents knowledge --push OWNER/NAME     # and upload it, once `hf auth login` was done
"""

import argparse
import shutil
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
# PyTorch's own index has versions without CUDA, which start sooner.
_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"


def make(folder: Path, documents: Path) -> None:
    """Write the Space into a folder: the program, the documents, and what it needs."""
    for name in ("app.py", "README.md"):
        shutil.copy(_HERE / name, folder / name)
    shutil.copy(_ROOT / "LICENSE", folder / "LICENSE")
    shutil.copytree(_ROOT / "bot", folder / "bot", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    shutil.copytree(documents, folder / "knowledge", dirs_exist_ok=True)
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    # A Space installs these before it has the files, so the program itself is not among them.
    (folder / "requirements.txt").write_text("\n".join([_INDEX, *project["dependencies"], ""]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=_ROOT / "knowledge", help="the folder to answer from")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", type=Path, help="the folder to write the Space into")
    where.add_argument("--push", metavar="OWNER/NAME", help="the Space to upload, made if there is none")
    chosen = parser.parse_args()
    if chosen.to:
        chosen.to.mkdir(parents=True, exist_ok=True)
        make(chosen.to, chosen.documents)
        return
    with TemporaryDirectory() as folder:
        make(Path(folder), chosen.documents)
        api = HfApi()
        api.create_repo(chosen.push, repo_type="space", space_sdk="gradio", private=True, exist_ok=True)
        api.upload_folder(repo_id=chosen.push, repo_type="space", folder_path=folder)


if __name__ == "__main__":
    main()
