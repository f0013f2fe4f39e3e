"""The licences of the libraries that the program runs with, as docs/licences.md shows them.

    python benchmarks/licences.py > docs/licences.md

They are read from what is installed. `--left-out` prints what isn't in requirements.lock on purpose.
"""

import argparse
import re
import sys
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
# PyTorch has an index of its own. The others are what its builds for graphics cards bring along.
LEFT_OUT = (
    "torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc "
    "nvidia-cuda-runtime "
    "nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 "
    "nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx"
).split()
# The names that licences have in older metadata.
_NAMES = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_COPYLEFT = ("GPL", "MPL", "EPL", "CC-BY-SA")
_PAGE = """# Licences of the libraries

What the program runs with, as each library's own metadata says. Written by `make licences`; a test fails where it isn't true
any more. The program itself is under Apache-2.0, and its weights in `bot/models/reader` under CC-BY-SA-4.0.

Those that ask something of whoever passes on a changed version: {copyleft}. The program uses all of them as they
are and as libraries of their own, which can be replaced.

| library | licence |
|---|---|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--left-out", action="store_true", help="print the libraries that are not in requirements.lock")
    sys.stdout.write("\n".join(LEFT_OUT) if parser.parse_args().left_out else page())


def locked() -> dict[str, str]:
    """The versions of requirements.lock by name."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def page() -> str:
    licences = {name: licence(name) for name in sorted({*locked(), "torch"})}
    copyleft = ", ".join(
        f"{name} ({found})" for name, found in licences.items() if any(map(found.__contains__, _COPYLEFT))
    )
    return _PAGE.format(copyleft=copyleft, rows="\n".join(f"| {name} | {found} |" for name, found in licences.items()))


def licence(name: str) -> str:
    """The licence that a library names in its metadata."""
    about = metadata(name)
    classified = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier", ()) if line.startswith("License :: ")
    ]
    told = (
        about["License-Expression"] or "; ".join(classified) or (about["License"] or "not named").strip().split("\n")[0]
    )
    return _NAMES.get(told, told)


if __name__ == "__main__":
    main()
