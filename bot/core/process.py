"""Protection of this process's memory, and of the secrets in its environment, from other programs of the same user."""

import ctypes
import os
import sys

_PR_SET_DUMPABLE = 4


def libc() -> ctypes.CDLL:
    """Return the C library that this process runs on."""
    return ctypes.CDLL(None, use_errno=True)


def protect_memory() -> None:
    """Have no core dump written. On Linux, other programs of the user can then neither trace this one nor read its memory."""
    if os.name != "posix":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # also covers core dumps that the kernel pipes to a program, whatever the limit
        libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def erase_variable(name: str) -> None:
    """Remove an environment variable, so that no child inherits it, and overwrite its value.

    The kernel goes on showing the memory that the environment stood in at the start (`/proc/PID/environ`).
    """
    if os.name == "posix":
        getenv = libc().getenv
        getenv.restype = ctypes.c_void_p
        if address := getenv(os.fsencode(name)):
            ctypes.memset(address, 0, len(ctypes.string_at(address)))
    os.environ.pop(name, None)
