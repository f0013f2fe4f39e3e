"""Checks the token and the intents, for `knowledge-bot doctor`."""

import re
from collections.abc import AsyncIterator

import aiohttp
import discord

from bot.core.diagnosis import Diagnosis, error, ok, warning
from bot.core.settings import DiscordSettings

_SUBJECT = "discord"
_TOKEN = re.compile(r"[\w-]{18,}\.[\w-]{6,}\.[\w-]{25,}")


async def check(settings: DiscordSettings, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check the shape of the token and, with `online`, whether Discord accepts it and grants the intents."""
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
