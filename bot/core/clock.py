"""A clock without jumps, to measure from one moment to another.

The clock of the machine may be set back or forth while the bot runs. This one goes on evenly from the time of its start. It
counts the seconds of a suspended machine on systems that know them.
"""

import time
from datetime import UTC, datetime


def _passed() -> float:
    """Return the seconds since some moment in the past."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # on Linux; the monotonic clock stands still while the machine sleeps
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


_STARTED = time.time() - _passed()


def now() -> float:
    """Return the seconds since the epoch."""
    return _STARTED + _passed()


def utc_now() -> datetime:
    """Return the time as a date in UTC."""
    return datetime.fromtimestamp(now(), UTC)


def plausible_time(platform_time: datetime, max_age: float) -> datetime:
    """Return the platform's time, or now if it is in the future or older than `max_age` seconds: a clock is wrong then."""
    return platform_time if 0 <= now() - platform_time.timestamp() <= max_age else utc_now()
