"""A clock without jumps, to measure from one moment to another.

The clock of the machine may be set back or forth while the bot runs. This one goes on evenly from the time of its start. It
counts the seconds of a suspended machine on systems that know them.
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
    """Return the platform's time of a question, or the present where that time is in the future or too long ago.

    `longest_seconds`: how long ago it may be. A time beyond these bounds comes from a wrong clock.
    """
    return told if 0 <= now() - told.timestamp() <= longest_seconds else utc_now()
