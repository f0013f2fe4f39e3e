"""Telegram, through python-telegram-bot: its updates become Questions, Answers become its messages.

adapter     composes the parts
connection  reaches the service, then polls or registers the webhook
polling     fetches updates under a watchdog
webhook     the route to which Telegram sends updates
updates     passes each update to the part that handles its kind
addressing  reads messages: their author, their command, and whether they address the bot
incoming    makes Questions of messages and has them accepted
outgoing    sends the parts of answers, edits and deletes them
sending     the calls for one message, within the flood limits and again after failures
flood       limits how often the bot sends
places      chats and topics to send to, and the messages sent
chats       which chats the bot can't write to, which have moved, and their policies
rendering   renders an answer, its sources and its buttons
formatting  Markdown as text with Telegram's entities, and its parts
progress    typing, placeholders, and their edits
commands    the commands, for everybody and for operators
tasks       the commands for tasks
menus       the menus of commands that the apps show
buttons     the buttons below answers
inline      inline queries
replies     short replies that are no answers, and tasks in the background
checking    checks the token for `knowledge-bot doctor`
setup       how to get a token, the link, and the first message for `knowledge-bot setup`
"""

import logging
import os

# Makes the library give durations as timedelta, which it will do by default later and warns about until then.
os.environ.setdefault("PTB_TIMEDELTA", "true")
# The library logs the text of updates that it can't read, and of responses that are no JSON. The adapter logs such failures
# itself, without the text.
logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
