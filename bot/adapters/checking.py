"""Checks of the platforms, for `knowledge-bot doctor` and `knowledge-bot setup`."""

from collections.abc import AsyncIterator

from bot.adapters.discord.checking import check as check_discord
from bot.adapters.telegram.checking import check as check_telegram
from bot.core.diagnosis import Diagnosis
from bot.core.platforms import Platform
from bot.core.settings import Settings


async def check_platforms(settings: Settings, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check each platform whose token is set; `online`: also whether it accepts the token."""
    for platform in settings.platforms:
        async for found in check_platform(settings, platform, online=online):
            yield found


def check_platform(settings: Settings, platform: Platform, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check one platform, whose token must be set."""
    match platform:
        case Platform.DISCORD:
            return check_discord(settings.discord, online=online)
        case Platform.TELEGRAM:
            return check_telegram(settings.telegram, online=online)
