"""Notifications to a service manager: the bot is ready, it lives, it stops.

The protocol is that of sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names. Without that variable nothing happens.
"""

import asyncio
import os
import socket

_LARGEST_STATUS = 1000  # characters
# Signs of life within the time after which the manager would end the process.
_SIGNS = 3


def notify(*states: str) -> None:
    """Send a state such as `READY=1` or `STATUS=...` to the service manager, if one asked for it. Never fails, never blocks."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace of Linux
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.setblocking(False)
            manager.connect(address)
            manager.send("\n".join(states).encode())
    except OSError:
        return  # the manager is gone, or busy: the bot goes on without it


def ready() -> None:
    """Tell the service manager that the bot accepts questions (READY=1)."""
    notify("READY=1")


def status(text: str) -> None:
    """Set the line that `systemctl status` shows."""
    notify(f"STATUS={' '.join(text.split())[:_LARGEST_STATUS]}")


def stopping(longest_seconds: float) -> None:
    """Announce the stop and how long it may take."""
    notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(longest_seconds * 1_000_000)}")


def watchdog_seconds() -> float | None:
    """Return after how many seconds without a sign of life the service manager ends this process, None if it doesn't."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000 or None


async def show_life() -> None:
    """Notify systemd from the event loop until cancelled; a bot whose loop is stuck sends nothing and is restarted."""
    longest = watchdog_seconds()
    while longest is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(longest / _SIGNS)
