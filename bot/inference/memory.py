"""How much memory a model may take on this machine, and takes."""

from pathlib import Path
from typing import Any

_MEMORY = Path("/proc/meminfo")  # of Linux


def free_memory() -> int | None:
    """Return the free memory in bytes, within the limits of a container; None where the system doesn't tell."""
    try:
        free = 1024 * _numbers(_MEMORY)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        return None
    for folder, limit, used in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            left = int((folder / limit).read_text()) - int((folder / used).read_text())
            # Cached files count as used, and are given up for a model.
            free = min(free, left + _numbers(folder / "memory.stat").get("inactive_file", 0))
        except (OSError, ValueError):  # no limit: no such file, or "max"
            continue
    return free


def megabytes_of(model: Any) -> int:
    """Return the memory that the weights of a torch model take, in millions of bytes."""
    sizes: list[int] = [tensor.nbytes for tensor in (*model.parameters(), *model.buffers())]
    return round(sum(sizes) / 1e6)


def _numbers(file: Path) -> dict[str, int]:
    """Return the first number of each line by its name."""
    return {name: int(number) for name, number, *_ in map(str.split, file.read_text().splitlines())}
