"""Connects a new bot to Telegram with its operator: the way to a token, the bot's link, and the first message."""

import asyncio

from telegram import Update
from telegram.error import Conflict, TelegramError

from bot.adapters.telegram.checking import plain_bot
from bot.core.errors import SettingsError
from bot.core.settings import TelegramSettings

PREPARATION = """\
Write to @BotFather in Telegram (https://t.me/BotFather), send him /newbot, and follow what he says: he gives you a token.
To let the bot see all that is written in groups, send him /setprivacy too; for questions anywhere: /setinline."""
HOW_TO_WRITE = "write to it by that link"
_POLL_SECONDS = 10


async def invitation(settings: TelegramSettings) -> list[str]:
    """Return lines that say where the bot is; the token must be right."""
    async with await asyncio.to_thread(plain_bot, settings) as bot:
        return [
            "People write to your bot here:",
            f"  https://t.me/{bot.username}",
            "In a group it answers once somebody has added it by this link:",
            f"  https://t.me/{bot.username}?startgroup=new",
        ]


async def first_message(settings: TelegramSettings) -> str:
    """Wait for a message to the bot and return a line on it. It stays with Telegram, so the bot answers it once it runs.

    Raises SettingsError if another program receives the messages, or Telegram can't be reached.
    """
    async with await asyncio.to_thread(plain_bot, settings) as bot:
        try:
            if (await bot.get_webhook_info()).url:
                return "Messages come by a webhook: start the bot with knowledge-bot run, and write to it."
            while True:
                updates = await bot.get_updates(timeout=_POLL_SECONDS, allowed_updates=[Update.MESSAGE])
                if sender := next((one.message.from_user for one in updates if one.message), None):
                    return f"A message has come from {sender.full_name}: it works, and is answered once the bot runs."
        except Conflict as error:
            raise SettingsError(
                ["telegram.token: another program receives the messages with this token: stop it, and try again"]
            ) from error
        except TelegramError as error:
            raise SettingsError([f"Telegram can't be reached ({type(error).__name__}): check the network"]) from error
