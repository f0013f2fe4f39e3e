"""A loader that a file has taken over: it runs the file as Python. Imported in the converter's process by its tests."""

import json
import sys
import traceback

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.knowledge import conversion, loaders, sandbox


def _run(path: str, content: bytes, url: str = "") -> Document:
    """The title tells what the code has left in `got`. Errors of the system are what the file ends with."""
    names: dict[str, object] = {}
    try:
        exec(content, names)  # noqa: S102
    except OSError as error:
        raise DocumentError(f"refused: {error!r}") from error
    except Exception:
        raise DocumentError(traceback.format_exc()) from None
    return Document(path, str(names.get("got")), ())


def main(memory_bytes: int, layers: str) -> None:
    """Convert files as the converter's process does, with these layers of the sandbox alone."""
    loaders.LOADERS[".attack"] = _run
    sandbox._LAYERS = {name: sandbox._LAYERS[name] for name in json.loads(layers)}
    # Imported now, for the sandbox hides the folder of the tests.
    import ctypes  # noqa: F401
    import resource  # noqa: F401
    import socket  # noqa: F401
    import subprocess  # noqa: F401

    conversion.main(memory_bytes)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
