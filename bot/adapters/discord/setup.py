"""Connects a new bot to Discord with its operator: the way to a token, the invite link, and the first message."""

import asyncio

import discord

from bot.adapters.discord.sending import NOBODY
from bot.core.errors import SettingsError
from bot.core.settings import DiscordSettings

PREPARATION = """\
Open https://discord.com/developers/applications, make an application, and press Reset Token on its page Bot.
On the same page switch on Message Content Intent, if the bot is to see more than what is addressed to it."""
HOW_TO_WRITE = "write to it: mention it in a channel, or send it a direct message"
# What the bot does in a channel, and nothing more.
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    read_message_history=True,
    attach_files=True,
    add_reactions=True,
)
_SCOPES = ("bot", "applications.commands")
_GREETING = "It works: I can read and write here."


async def invitation(settings: DiscordSettings) -> list[str]:
    """Return lines that say how to get the bot onto a server; the token must be right."""
    async with discord.Client(intents=discord.Intents(guilds=True)) as client:
        await client.login(settings.token.get_secret_value())
        application = await client.application_info()
    link = discord.utils.oauth_url(application.id, permissions=PERMISSIONS, scopes=_SCOPES)
    return ["Invite the bot to your server, with all the rights that it needs:", f"  {link}"]


async def first_message(settings: DiscordSettings) -> str:
    """Wait for a message to the bot, greet back, and return a line on both. Raises SettingsError if Discord cuts it off."""
    arrived: asyncio.Future[discord.Message] = asyncio.get_running_loop().create_future()
    # Direct messages and mentions come with their text without the privileged intent.
    client = discord.Client(intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True))

    @client.event
    async def on_message(message: discord.Message) -> None:
        to_the_bot = message.guild is None or client.user in message.mentions
        if not message.author.bot and to_the_bot and not arrived.done():
            arrived.set_result(message)

    async with client:
        serving = asyncio.create_task(client.start(settings.token.get_secret_value()))
        await asyncio.wait((arrived, serving), return_when=asyncio.FIRST_COMPLETED)
        if not arrived.done():
            error = serving.exception()
            raise SettingsError(
                [f"Discord has closed the connection ({type(error).__name__}): try again, or see doctor"]
            )
        message = arrived.result()
        try:
            await message.channel.send(_GREETING, allowed_mentions=NOBODY)
        except discord.Forbidden:
            return f"A message has come from {message.channel}, but the bot may not write there: invite it again by the link."
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    return f"A message has come from {message.author}, and the bot could answer: it works."
