"""Discord, through discord.py: its events become Questions, Answers become its messages.

adapter      the connection and its supervision; what comes in, what goes out
incoming     whether a message is for the bot, and what it asks
outgoing     sending and editing, nonces, and which refusals are final
rendering    an answer as Discord shows it, made harmless
commands     slash commands, the context menu, and what operators do
buttons      what people press below an answer
"""

from bot.adapters.discord.adapter import DiscordAdapter

__all__ = ["DiscordAdapter"]
