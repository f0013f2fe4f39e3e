"""Telegram: private chats, groups, topics, inline queries; by polling or by a webhook."""

import logging
import os

# The library's switch for durations as timedelta, which it will do anyway some day and warns about until then.
os.environ.setdefault("PTB_TIMEDELTA", "true")
# The library logs the texts that people write when it can't read an update, and whatever the service answers when that is no
# JSON. What there is to know we log ourselves.
logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
