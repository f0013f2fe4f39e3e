"""Checks the token, the intents and the permissions in channels, for `knowledge-bot doctor`."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import aiohttp
import discord

from bot.adapters.discord.chats import missing_permissions
from bot.core.diagnosis import Diagnosis, error, ok, warning
from bot.core.settings import DiscordSettings
from bot.core.text import counted, safe

_SUBJECT = "discord"
_MOST_SERVERS = 50  # whose channels are looked at: each takes three requests
_NAMED = 5  # channels
_TOKEN = re.compile(r"[\w-]{18,}\.[\w-]{6,}\.[\w-]{25,}")


async def check(settings: DiscordSettings, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check the shape of the token and, with `online`, whether Discord accepts it and grants intents and permissions."""
    token = settings.token.get_secret_value()
    if not _TOKEN.fullmatch(token):
        yield error(
            _SUBJECT,
            "discord.token doesn't look like a bot's token (three parts with dots between): copy it again from the Developer "
            "Portal, Bot, Reset Token.",
        )
        return
    if not online:
        yield ok(_SUBJECT, "the token has the right shape; it was not tried")
        return
    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(token)
            application = await client.application_info()
            servers = [
                await _check_server(client, guild, settings) async for guild in client.fetch_guilds(limit=_MOST_SERVERS)
            ]
    except discord.LoginFailure:
        yield error(_SUBJECT, "Discord refuses the token: copy it again from the Developer Portal, Bot, Reset Token.")
        return
    except (discord.HTTPException, aiohttp.ClientError, OSError) as failure:
        yield error(_SUBJECT, f"Discord can't be reached ({type(failure).__name__}): check the network.")
        return
    yield ok(_SUBJECT, f"the token is that of {application.name}")
    flags = application.flags
    if settings.message_content and not (flags.gateway_message_content or flags.gateway_message_content_limited):
        yield warning(
            _SUBJECT,
            "the Message Content intent is off, so the bot sees only what is addressed to it: turn it on in the Developer "
            "Portal (Bot, Privileged Gateway Intents), or set discord.message_content = false.",
        )
    else:
        yield ok(_SUBJECT, "the intents are there")
    for found in servers:
        yield found


async def _check_server(client: discord.Client, server: discord.Guild, settings: DiscordSettings) -> Diagnosis:
    """Check the bot's permissions in the channels of a server."""
    name = safe(server.name)
    try:
        guild = await client.fetch_guild(server.id, with_counts=False)
        channels = await guild.fetch_channels()
        me = await guild.fetch_member(client.user.id if client.user else 0)
    except discord.HTTPException as failure:
        return warning(
            _SUBJECT, f"the channels of {name} can't be looked at (status {failure.status}): try again later."
        )
    if me.is_timed_out():
        return warning(
            _SUBJECT, f"in {name} the bot is timed out until {me.timed_out_until:%Y-%m-%d %H:%M} UTC: end that."
        )
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    hidden = 0
    for channel in channels:
        if not channel.permissions_for(me).view_channel:
            hidden += 1
        elif missing := missing_permissions(channel, me, threads=settings.threads):
            lacking[missing].append(channel.name)
    seen = f"; {counted(hidden, 'channel')} hidden from it" if hidden else ""
    if not lacking:
        return ok(_SUBJECT, f"in {name} it may answer in every channel that it sees{seen}")
    told = "; ".join(f"{missing} in {_names(names)}" for missing, names in lacking.items())
    return warning(
        _SUBJECT, f"in {name} the bot lacks {told}{seen}: give these permissions to its role, there or in the channel."
    )


def _names(channels: Sequence[str]) -> str:
    more = len(channels) - _NAMED
    named = ", ".join(f"#{safe(name)}" for name in channels[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named
