"""Pauses between the tries to connect to the gateway.

discord.py connects again at once where the gateway accepts a connection and closes it. Discord locks out a bot that does so
about a thousand times.
"""

import time
from collections import deque

_WITHIN = 60.0  # seconds
_AT_ONCE = 3  # connections of each shard within that time before the pauses begin
_LONGEST_PAUSE = 30.0  # seconds


class ReconnectBackoff:
    """Counts the latest tries to connect."""

    def __init__(self) -> None:
        self._tries: deque[float] = deque()

    def pause(self, shards: int) -> float:
        """Return the seconds to wait before the next try, which grow with each within a minute, and count that try."""
        now = time.monotonic()
        while self._tries and self._tries[0] <= now - _WITHIN:
            self._tries.popleft()
        many = len(self._tries) - _AT_ONCE * shards
        pause = min(2.0**many, _LONGEST_PAUSE) if many >= 0 else 0.0
        self._tries.append(now + pause)
        return pause
