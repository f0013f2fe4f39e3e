"""The connection to Discord: runs one client after the other, each from its login to its end, under a watchdog."""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import discord
import structlog
from discord.gateway import KeepAliveHandler

from bot.adapters.discord.absences import Absences
from bot.adapters.discord.actions import Actions
from bot.adapters.discord.addressing import PLATFORM
from bot.adapters.discord.backoff import ReconnectBackoff
from bot.adapters.discord.sending import NOBODY
from bot.core import clock
from bot.core.errors import SettingsError, StorageError
from bot.core.settings import DiscordSettings
from bot.storage.base import PlatformStore

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Any]])
_ALIVE = "alive_at"  # the note with the time at which the bot was last connected
_ALIVE_EVERY = 15.0  # seconds
_LONGEST_SILENCE = 180.0  # seconds without a connection after which everything is started again
_FINISHING = 1.0  # seconds that the handlers of events have at the end
# Close codes that no restart cures; see the documentation of Discord's gateway.
_FATAL = {
    4004: "the token was refused. Copy it again: Developer Portal > your application > Bot > Reset Token",
    4010: "an invalid shard was asked for; set discord.sharded = true",
    4011: "the bot is on too many servers for one connection; set discord.sharded = true",
    4012: "this version of the program speaks a protocol that Discord doesn't know any more; update it",
    4013: "invalid intents were asked for; update the program",
}

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # the bot doesn't use voice


class Client(discord.Client):
    """A client that knows the tasks in which its events are handled.

    `actions`: the operations for buttons, which find them here because the library instantiates their classes.
    """

    actions: Actions

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._handling: set[asyncio.Task[Any]] = set()

    def event(self, coro: Handler, /) -> Handler:
        """Register the handler of an event. Returns it as it was."""

        @functools.wraps(coro)
        async def handle(*arguments: Any) -> None:
            self.note_handler()
            await coro(*arguments)

        super().event(handle)
        return coro

    def note_handler(self) -> None:
        """Note that the current task handles an event."""
        if task := asyncio.current_task():
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def end_handlers(self) -> None:
        """Let the handlers of events finish while the client and the journal are there, and cancel those that take long."""
        if self._handling:
            _, late = await asyncio.wait(self._handling, timeout=_FINISHING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_FINISHING)

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Drop events after the end, which the library itself dispatches and then fails to handle."""
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)


class _ShardedClient(discord.AutoShardedClient, Client):
    """A client with several shards."""


Prepare = Callable[[Client], None]
CatchUp = Callable[[Mapping[int, float]], Coroutine[Any, Any, None]]


class Connection:
    """Keeps one client connected, with one shard or several, and notes in the store when it was connected last."""

    def __init__(self, settings: DiscordSettings, store: PlatformStore) -> None:
        self._settings = settings
        self._store = store
        self._client: Client | None = None
        self._absences = Absences(None)
        self._all_ready = False
        self._tasks: set[asyncio.Task[Any]] = set()
        # The bot's own, also after the end: messages from before are taken in.
        self.user: discord.ClientUser | None = None

    @property
    def client(self) -> Client:
        """The current client. Raises ConnectionError if there is none."""
        if self._client is None:
            raise ConnectionError("not connected to Discord")
        return self._client

    @property
    def trouble(self) -> str | None:
        """Why the bot is not connected, in words for an operator; None if it is."""
        return None if self._absences.connected else "there is no connection to Discord"

    async def run(self, prepare: Prepare, catch_up: CatchUp) -> None:
        """Stay connected until cancelled. Raises SettingsError for an error that a restart can't cure.

        `prepare` registers handlers of events with each new client. `catch_up` takes in the messages that shards have missed,
        each since a time (seconds since the epoch); it runs at the beginning of each session.
        """
        content = self._settings.message_content
        while True:
            try:
                await self._serve(self._new_client(content, prepare, catch_up))
            except discord.PrivilegedIntentsRequired:
                if not content:
                    raise
                content = False
                _log.warning("Discord refuses the Message Content intent", missing=_ways_off(None))
            except (discord.LoginFailure, discord.HTTPException, discord.ConnectionClosed) as error:
                if incurable := _incurable(error):
                    raise incurable from error
                raise
            else:
                return

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task, which is cancelled when the client ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, client: Client) -> None:
        """Run a client from its login to its end. Raises the error that has ended it."""
        self._client, self._absences, self._all_ready = client, Absences(await self._alive_at()), False
        try:
            async with client:
                serving = asyncio.create_task(client.start(self._settings.token.get_secret_value()))
                watching = asyncio.create_task(self._watch())
                try:
                    await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
                    ended = serving if serving.done() else watching
                    await ended
                finally:
                    for task in (serving, watching):
                        task.cancel()
                    await asyncio.gather(serving, watching, return_exceptions=True)
                    await client.end_handlers()
                    for work in self._tasks:  # also what the handlers have started
                        work.cancel()
        finally:
            self._client, self._absences = None, Absences(None)
            _stop_heartbeats(client)

    def _new_client(self, content: bool, prepare: Prepare, catch_up: CatchUp) -> Client:
        kind = _ShardedClient if self._settings.sharded else Client
        client = kind(
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=content),
            allowed_mentions=NOBODY,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )

        async def on_ready() -> None:
            """Catch up after the start. `on_shard_ready` follows when a single shard begins a new session later."""
            _announce(client)
            self._all_ready = True
            if missed := self._absences.take():
                self.start(catch_up(missed))

        async def on_shard_ready(shard: int) -> None:
            if self._all_ready and (missed := self._absences.take(shard)):
                self.start(catch_up(missed))

        _pause_between_connections(client)
        prefix = "on_shard_" if self._settings.sharded else "on_"
        client.event(on_ready)
        client.event(on_shard_ready)
        for event, handler in (
            ("connect", self._session_began),
            ("resumed", self._session_resumed),
            ("disconnect", self._connection_lost),
        ):
            setattr(client, f"{prefix}{event}", handler)
        prepare(client)
        return client

    async def _watch(self) -> None:
        """Note the time at intervals while connected. Raises ConnectionError after a long time without connection."""
        silent_since = time.monotonic()
        while True:
            if self._absences.connected:
                silent_since = time.monotonic()
                with suppress(StorageError):
                    await self._note_alive()
            elif time.monotonic() - silent_since > _LONGEST_SILENCE:
                raise ConnectionError(f"no connection to Discord for {_LONGEST_SILENCE:g} seconds")
            await asyncio.sleep(_ALIVE_EVERY)

    async def _alive_at(self) -> float:
        """Return when the bot was last connected. The first start notes the present time: its shards connect one by one."""
        if (noted := await self._store.note(PLATFORM, _ALIVE)) is not None:
            return float(noted)
        await self._store.set_note(PLATFORM, _ALIVE, str(now := clock.now()))
        return now

    async def _note_alive(self) -> None:
        """Note the time, from which the bot catches up after a restart, unless a shard is away."""
        if self._client is not None and self._absences.connected == (self._client.shard_count or 1):
            await self._store.set_note(PLATFORM, _ALIVE, str(clock.now()))

    async def _session_began(self, shard: int = 0) -> None:
        self._absences.session_began(shard)
        self.user = self.client.user
        await self._note_alive()

    async def _session_resumed(self, shard: int = 0) -> None:
        self._absences.resumed(shard)

    async def _connection_lost(self, shard: int = 0) -> None:
        self._absences.lost(shard)


def _pause_between_connections(client: Client) -> None:
    """Let a client wait between its tries to connect, for which the library has no hook."""
    connect, backoff = client.http.ws_connect, ReconnectBackoff()

    async def connect_in_time(url: str, *, compress: int = 0) -> Any:
        await asyncio.sleep(backoff.pause(client.shard_count or 1))
        return await connect(url, compress=compress)

    object.__setattr__(client.http, "ws_connect", connect_in_time)


def _incurable(error: Exception) -> SettingsError | None:
    """Return the error for the operator if a restart can't cure it, else None."""
    if isinstance(error, discord.ConnectionClosed):
        return SettingsError([f"Discord: {_FATAL[error.code]}"]) if error.code in _FATAL else None
    # Which of the two states it is depends on the fault of the token.
    if isinstance(error, discord.LoginFailure) or (
        isinstance(error, discord.HTTPException) and error.status in (400, 401)
    ):
        return SettingsError([f"discord.token: {_FATAL[4004]}"])
    return None


def _announce(client: Client) -> None:
    content = client.intents.message_content
    _log.info("connected to Discord", servers=len(client.guilds), message_content=content)
    if not content:
        _log.warning("some ways to ask are off", missing=_ways_off(client.application_id))


def _ways_off(application: int | None) -> str:
    page = f"https://discord.com/developers/applications/{application or '<your application>'}/bot"
    return (
        "channels that are always answered in, new forum posts, threads without a mention, and replies without a ping. To turn "
        f"them on, switch on 'Message Content Intent' under 'Privileged Gateway Intents' at {page} and start the bot again; "
        "discord.message_content = false ends this warning"
    )


def _stop_heartbeats(client: Client) -> None:
    """Stop the heartbeats of a client, which the library leaves running if a connection breaks while it is made."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler) and thread.ws._connection is client._connection:
            thread.stop()
