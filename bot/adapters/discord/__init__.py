"""Discord, through discord.py: its events become Questions, Answers become its messages.

adapter       composes the parts and hands each event to one of them
connection    logs in, stays connected, and starts a new client when a connection ends
backoff       pauses between the tries to connect
absences      when each shard was away
addressing    reads messages: their author, their words, and whether they address the bot
incoming      makes Questions of messages and has them accepted; takes in edits and deletions, also those of an absence
outgoing      sends the parts of answers, edits and deletes them
sending       the calls for one message in one place, and their refusals
places        the places for an answer, and the threads that are opened for it
chats         which channels the bot can't write to or open threads in, and their policies
rendering     renders an answer in Discord's Markdown
progress      typing, placeholders, and their edits
commands      slash commands and the context menu
tasks         the commands for tasks, and the texts that they read
buttons       the buttons below answers
actions       the operations that commands and buttons call
interactions  carries out these operations
responses     responds to interactions with text that is no answer
checking      checks token and intents for `knowledge-bot doctor`
setup         how to get a token, the invite link, and the first message for `knowledge-bot setup`
"""

from bot.adapters.discord.adapter import DiscordAdapter

__all__ = ["DiscordAdapter"]
