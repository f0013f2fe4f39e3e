"""When each shard was away: Discord repeats no events to a new session, so the messages must be fetched."""

from bot.core import clock


class Absences:
    """Notes when each shard was away; a client without shards is shard 0. Times are seconds since the epoch."""

    def __init__(self, alive_at: float | None) -> None:
        """`alive_at`: when the client before this one was last connected; None for the first client."""
        self._alive_at = alive_at
        self._connected: set[int] = set()
        self._lost_at: dict[int, float] = {}
        self._missed_since: dict[int, float] = {}

    def session_began(self, shard: int) -> None:
        """Note that a shard has a new session: it misses the messages since its last one."""
        since = self._lost_at.pop(shard, self._alive_at)
        if since is not None:
            self._missed_since.setdefault(shard, since)
        self._connected.add(shard)

    def resumed(self, shard: int) -> None:
        """Note that a shard goes on with its session: it misses nothing."""
        self._lost_at.pop(shard, None)
        self._connected.add(shard)

    def lost(self, shard: int) -> None:
        """Note that a shard has lost its connection."""
        if shard in self._connected:
            self._connected.remove(shard)
            self._lost_at.setdefault(shard, clock.now())

    @property
    def connected(self) -> int:
        """The number of connected shards."""
        return len(self._connected)

    def take(self, shard: int | None = None) -> dict[int, float]:
        """Return the beginnings of past absences, by shard, or that of one `shard`, and forget them."""
        shards = list(self._missed_since) if shard is None else [shard]
        return {one: self._missed_since.pop(one) for one in shards if one in self._missed_since}
