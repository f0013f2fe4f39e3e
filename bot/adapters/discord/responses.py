"""Responses to interactions that are no answers: deferrals, lines of text, and errors, which are logged and shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import aiohttp
import discord
import structlog

from bot.adapters.discord.actions import Interaction
from bot.adapters.discord.connection import Client
from bot.adapters.discord.rendering import LONGEST_MESSAGE, Rendered
from bot.adapters.discord.sending import ALREADY_ACKNOWLEDGED, NOBODY, Content
from bot.adapters.layout import split_markdown
from bot.adapters.texts import OUR_FAULT
from bot.core.errors import BotError
from bot.core.references import new_reference

_log = structlog.stdlib.get_logger(__name__)


async def defer(interaction: Interaction, *, private: bool) -> None:
    """Show that the response will come. A refusal is logged; the answer goes to the channel then."""
    if interaction.client.is_closed():  # the answer comes after the next start
        return
    try:
        await interaction.response.defer(ephemeral=private, thinking=True)
    except discord.HTTPException as error:
        if error.code != ALREADY_ACKNOWLEDGED:
            _log.warning("deferral refused", status=error.status, code=error.code)
    except (OSError, aiohttp.ClientError, TypeError) as error:
        _log.warning("deferral in doubt", error=type(error).__name__)


async def respond(interaction: Interaction, text: str) -> None:
    """Replace a deferred response, with its buttons, by text, all of it in a file if it is too long for a message."""
    with suppress(discord.NotFound):  # the token has expired meanwhile
        first, *more = split_markdown(text, LONGEST_MESSAGE) or ["…"]
        content = Content(first, "", file=text if more else None)
        await interaction.edit_original_response(
            content=content.text, attachments=content.files(), view=None, allowed_mentions=NOBODY
        )


async def respond_in_parts(interaction: Interaction, rendered: Rendered) -> None:
    """Replace a deferred private response by a rendered text, its further parts in private messages below."""
    first, *others = rendered.parts
    with suppress(discord.NotFound):  # the token has expired meanwhile
        attached = Content(first, "", file=rendered.file).files()
        await interaction.edit_original_response(content=first, attachments=attached, allowed_mentions=NOBODY)
        for part in others:
            await interaction.followup.send(part, ephemeral=True, allowed_mentions=NOBODY, suppress_embeds=True)


async def respond_anyway(interaction: Interaction, text: str) -> None:
    """Respond, or edit the response if there is one. A refusal is ignored, and so is a connection that is closed."""
    if interaction.client.is_closed():
        return
    with suppress(discord.HTTPException, aiohttp.ClientError):
        if interaction.response.is_done():
            await interaction.edit_original_response(content=text, allowed_mentions=NOBODY)
        else:
            await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NOBODY)


@asynccontextmanager
async def handling(interaction: Interaction) -> AsyncIterator[None]:
    """Handle an interaction in the block. Its error is logged, and the response is a line about it."""
    cast(Client, interaction.client).note_handler()
    try:
        yield
    except discord.NotFound:  # the message or the interaction is gone, so nobody would see a response
        return
    except discord.HTTPException as error:
        if error.code != ALREADY_ACKNOWLEDGED:  # another event for the same press
            await respond_anyway(interaction, failure(error))
    except Exception as error:
        await respond_anyway(interaction, failure(error))


def failure(error: BaseException) -> str:
    """Log an error and return a line about it for the user."""
    reference = new_reference()
    if isinstance(error, BotError):
        _log.warning("not done", reference=reference, error=type(error).__name__)
        return f"⚠️ {error} (reference {reference})"
    _log.error("failure", reference=reference, exc_info=error)
    return f"⚠️ {OUR_FAULT} (reference {reference})"
