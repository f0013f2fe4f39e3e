"""The Telegram adapter: private chats, groups, topics and inline queries, by polling or by a webhook."""

import logging
import os

PLATFORM = "telegram"

# Makes the library give durations as timedelta, which it will do by default later and warns about until then.
os.environ.setdefault("PTB_TIMEDELTA", "true")
# The library logs the text of updates that it can't read, and of responses that are no JSON. The adapter logs such failures
# itself, without the text.
logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
