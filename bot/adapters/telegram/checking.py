"""Checks of the Telegram settings for `knowledge-bot doctor`: the token, privacy mode, and the webhook."""

import asyncio
import re
from collections.abc import AsyncIterator

from telegram import Bot
from telegram.error import InvalidToken, TelegramError

from bot.core.diagnosis import Diagnosis, error, ok, warning
from bot.core.messages import Policy
from bot.core.settings import TelegramSettings

_SUBJECT = "telegram"
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{30,}")


def plain_bot(settings: TelegramSettings) -> Bot:
    """Return the library's Bot for a few calls. Call this in a thread: it reads certificates."""
    return Bot(settings.token.get_secret_value(), base_url=f"{settings.api_url.rstrip('/')}/bot")


async def check(settings: TelegramSettings, *, online: bool) -> AsyncIterator[Diagnosis]:
    """Check the shape of the token, and with `online` also ask the service about the bot."""
    token = settings.token.get_secret_value()
    if not _TOKEN.fullmatch(token):
        yield error(
            _SUBJECT, "telegram.token doesn't look like a token (123456:ABC...): copy it again from @BotFather."
        )
        return
    if not online:
        yield ok(_SUBJECT, "the token has the right shape; it was not tried")
        return
    bot = await asyncio.to_thread(plain_bot, settings)
    try:
        async with bot:
            me, hook = bot.bot, await bot.get_webhook_info()
    except InvalidToken:
        yield error(_SUBJECT, "Telegram refuses the token: copy it again from @BotFather, or let him make a new one.")
        return
    except TelegramError as failure:
        yield error(
            _SUBJECT, f"Telegram can't be reached ({type(failure).__name__}): check the network and telegram.api_url."
        )
        return
    yield ok(_SUBJECT, f"the token is that of @{me.username}")
    if not me.can_read_all_group_messages and settings.policy is Policy.ALWAYS:
        yield warning(
            _SUBJECT,
            "telegram.policy is always, but privacy mode is on, so the bot sees only what is addressed to it in groups: turn "
            "it off with /setprivacy at @BotFather, then add the bot to its groups anew.",
        )
    else:
        yield ok(
            _SUBJECT, f"privacy mode is {'off' if me.can_read_all_group_messages else 'on'}, which fits the policy"
        )
    if hook.url and hook.url != settings.webhook_url:
        yield warning(
            _SUBJECT, "another program has set a webhook for this bot; the next start of this one removes it."
        )
