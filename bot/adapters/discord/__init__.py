"""Discord, through discord.py: its events become Questions, Answers become its messages.

adapter       composes the parts and hands each event to one of them
connection    logs in, stays connected, notices when that ends
absences      the times since which messages may have been missed
addressing    whether a message is for the bot, and its question
incoming      takes questions, edits and deletions in, also after an absence
outgoing      sends, edits and deletes messages
places        channels, direct conversations, interactions, and their refusals
threads       threads that could not be opened
rendering     an answer in Discord's Markdown, made harmless
progress      typing, placeholders, and their edits
commands      slash commands and the context menu
buttons       the buttons below answers
actions       the operations that commands and buttons call
interactions  carries these operations out
responses     responses to interactions besides answers
checking      token and intents, for the doctor
"""

from bot.adapters.discord.adapter import DiscordAdapter

__all__ = ["DiscordAdapter"]
