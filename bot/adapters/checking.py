"""Checks of the platforms, for `knowledge-bot doctor`."""

from collections.abc import AsyncIterator

from bot.adapters.discord.checking import check as check_discord
from bot.adapters.telegram.checking import check as check_telegram
from bot.core.diagnosis import Diagnosis
from bot.core.settings import Settings


async def check_platforms(settings: Settings, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check each platform whose token is set; `online`: also whether it accepts the token."""
    if "discord" in settings.platforms:
        async for found in check_discord(settings.discord, online=online):
            yield found
    if "telegram" in settings.platforms:
        async for found in check_telegram(settings.telegram, online=online):
            yield found
