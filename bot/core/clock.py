"""The time without jumps, for all that is measured from one moment to another.

The clock of the machine may be set back or forth while the bot runs. The time here goes on evenly from that at the start;
it counts the seconds of a suspended machine where the system tells them.
"""

import time
from datetime import UTC, datetime


def _passed() -> float:
    """Seconds since some moment in the past."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # on Linux; the monotonic clock stands still while the machine sleeps
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


_STARTED = time.time() - _passed()


def now() -> float:
    """Seconds since the epoch."""
    return _STARTED + _passed()


def utc_now() -> datetime:
    """The time as a date in UTC."""
    return datetime.fromtimestamp(now(), UTC)


def asked_at(told: datetime, longest_seconds: float) -> datetime:
    """Return when something was asked by a platform's clock, unless by this clock that is in the future or too long ago.

    `longest_seconds`: how long ago it may be. What contradicts that is due to a clock that goes wrong: it was asked just now.
    """
    return told if 0 <= now() - told.timestamp() <= longest_seconds else utc_now()
