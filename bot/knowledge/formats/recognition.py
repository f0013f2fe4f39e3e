"""Whether text recognition is installed, and the memory that it takes: more than reading any file should."""

import importlib.util
import sys
from functools import cache

_MEMORY = 1280 * 2**20  # bytes of address space


@cache
def is_installed() -> bool:
    """Whether the packages of the extra `ocr` are there."""
    return importlib.util.find_spec("rapidocr_onnxruntime") is not None


def recognition_memory() -> int:
    """The bytes that recognition may take beside the limit for reading a file; 0 where it isn't installed."""
    return _MEMORY if is_installed() else 0


def allow_memory() -> None:
    """Raise the limit on this process's memory, as far as it was reserved for recognition."""
    if sys.platform == "linux":  # other systems have no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
