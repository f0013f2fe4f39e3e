"""Reading a Discord server by the REST API, as the bot, without a connection of its own to the gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
from discord.http import HTTPClient

from bot.core.errors import SourceError

Json = dict[str, Any]
THREADS = (10, 11)
"""The types of public threads, of channels with news and of other ones."""
_VIEW_AND_HISTORY, _ADMINISTRATOR = 1 << 10 | 1 << 16, 1 << 3
_LONGEST_WAIT = 60.0  # seconds that Discord may want the bot to wait
_LONGEST_REQUEST = 120.0  # seconds, with such a wait
_PAGE = 100  # threads, messages or people that come with one request
_MOST_PAGES = 10  # of the messages of a thread, and of the people who react to a message


class Withheld(Exception):
    """Discord doesn't give something now, or not to this bot. The text is the reason."""


class Gone(Exception):
    """Something was deleted, or has never been there."""


class DiscordServer:
    """A server whose channels are read. Its methods raise Withheld, Gone, and SourceError if the token is refused.

    `roles` and `channels` are those of the server, by their ids.
    """

    def __init__(self, http: HTTPClient, server: int, pause: float) -> None:
        self.id = str(server)
        self.roles: Mapping[str, Json] = {}
        self.channels: Mapping[str, Json] = {}
        self._http = http
        self._pause = pause
        self._next = 0.0  # the moment of the next request, on the monotonic clock
        self._active: Sequence[Json] | None = None
        self._roles_of: dict[str, frozenset[str]] = {}

    async def open(self) -> None:
        """Read the roles and channels of the server. Raises SourceError if they can't be read."""
        try:
            self.roles = {role["id"]: role for role in await self._ask(self._http.get_roles, self.id)}
            channels = await self._ask(self._http.get_all_guild_channels, self.id)
        except Gone as error:
            raise SourceError(f"the bot is on no server {self.id}; check its setting server, or invite it") from error
        except Withheld as error:
            raise SourceError(f"the server {self.id} can't be read: {error}") from error
        self.channels = {channel["id"]: channel for channel in channels}

    async def thread(self, number: str) -> Json:
        """Return a public thread of this server."""
        found: Json = await self._ask(self._http.get_channel, number)
        if found.get("guild_id") != self.id or found["type"] not in THREADS:
            raise Gone
        return found

    async def threads(self, channel: str) -> list[Json]:
        """Return the public threads of a channel, newest first."""
        if self._active is None:
            self._active = (await self._ask(self._http.get_active_threads, self.id))["threads"]
        found = {thread["id"]: thread for thread in self._active if thread["parent_id"] == channel}
        before: str | None = None
        more = True
        while more:
            page: Any = await self._ask(self._http.get_public_archived_threads, channel, before, _PAGE)
            new = {thread["id"]: thread for thread in page["threads"] if thread["id"] not in found}
            found |= new
            more = page["has_more"] and bool(new)
            before = page["threads"][-1]["thread_metadata"]["archive_timestamp"] if new else None
        public = [thread for thread in found.values() if thread["type"] in THREADS]
        return sorted(public, key=lambda thread: -int(thread["id"]))

    async def messages(self, thread: str) -> list[Json]:
        """Return the messages of a thread, oldest first; of very many, the first ones."""
        found: list[Json] = []
        after = int(thread) - 1  # that which opens a post has the id of its thread
        for _ in range(_MOST_PAGES):
            page: Any = await self._ask(self._http.logs_from, thread, _PAGE, None, after)
            found += sorted(page, key=lambda message: int(message["id"]))
            if len(page) < _PAGE:
                break
            after = int(found[-1]["id"])
        return found

    async def reacted(self, message: Json, emoji: str) -> AsyncIterator[str]:
        """Yield the ids of the people who have reacted to a message."""
        after: str | None = None
        for _ in range(_MOST_PAGES):
            ask = self._http.get_reaction_users
            page: Any = await self._ask(ask, message["channel_id"], message["id"], emoji, _PAGE, after)
            for person in page:
                yield person["id"]
            if len(page) < _PAGE:
                break
            after = page[-1]["id"]

    async def roles_of(self, person: str) -> frozenset[str]:
        """Return the ids of the roles that somebody has; none for one who has left the server."""
        if person not in self._roles_of:
            try:
                member: Any = await self._ask(self._http.get_member, self.id, person)
                self._roles_of[person] = frozenset(member["roles"])
            except Gone:
                self._roles_of[person] = frozenset()
        return self._roles_of[person]

    def is_seen_by_all(self, channel: Json) -> bool:
        """Return whether everybody on the server sees a channel and what was written there before."""
        permissions = int(self.roles[self.id]["permissions"])
        for overwrite in channel.get("permission_overwrites") or ():
            if overwrite["id"] == self.id:
                permissions = permissions & ~int(overwrite["deny"]) | int(overwrite["allow"])
        return bool(permissions & _ADMINISTRATOR) or permissions & _VIEW_AND_HISTORY == _VIEW_AND_HISTORY

    async def _ask(self, call: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
        now = time.monotonic()
        self._next = max(self._next, now) + self._pause
        await asyncio.sleep(self._next - self._pause - now)
        try:
            async with asyncio.timeout(_LONGEST_REQUEST):
                return await call(*arguments)
        except discord.NotFound as error:
            raise Gone from error
        except discord.Forbidden as error:
            raise Withheld("the bot may not: give it View Channel and Read Message History there") from error
        except discord.RateLimited as error:
            raise Withheld(f"Discord wants the bot to wait for {error.retry_after:.0f} seconds") from error
        except discord.HTTPException as error:
            if error.status == 401:
                raise SourceError("Discord refuses the token; check discord.token") from error
            raise Withheld(f"HTTP {error.status}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Withheld(f"Discord can't be reached ({type(error).__name__})") from error


@asynccontextmanager
async def open_server(token: str, server: int, requests_per_second: float) -> AsyncIterator[DiscordServer]:
    """Sign in, and open a server. Raises SourceError."""
    if not token:
        raise SourceError("discord.token is empty; set the token of a bot that is on the server")
    http = HTTPClient(asyncio.get_running_loop(), max_ratelimit_timeout=_LONGEST_WAIT)
    try:
        await http.static_login(token)
        opened = DiscordServer(http, server, 1 / requests_per_second)
        await opened.open()
        yield opened
    except discord.LoginFailure as error:
        raise SourceError("Discord refuses the token; check discord.token") from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise SourceError(f"Discord can't be reached ({type(error).__name__}); check the network") from error
    finally:
        await http.close()
