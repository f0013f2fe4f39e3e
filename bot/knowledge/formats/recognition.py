"""Whether text recognition is installed, and the memory that it takes: more than reading any file should."""

import importlib.util
from functools import cache

_MEMORY = 1280 * 2**20  # bytes of address space


@cache
def is_installed() -> bool:
    """Return whether the packages of the extra `ocr` are installed."""
    return importlib.util.find_spec("rapidocr_onnxruntime") is not None


def recognition_memory() -> int:
    """Return the bytes that recognition may take beside the limit for reading a file; 0 where it isn't installed."""
    return _MEMORY if is_installed() else 0
