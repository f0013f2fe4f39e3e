"""Refused threads: their questions are answered in the channel, and their conversations go on there."""

import structlog

from bot.adapters.discord.places import ForbiddenChannels
from bot.adapters.recent import Recent

_log = structlog.stdlib.get_logger(__name__)
_REMEMBERED = 2000  # questions without a thread, and conversations


class RefusedThreads:
    """Remembers the latest refused threads. `forbidden`: the channels in which the bot may not open threads."""

    def __init__(self) -> None:
        self.forbidden = ForbiddenChannels()
        self._messages = Recent[int, None](_REMEMBERED)
        self._conversations = Recent[str, str](_REMEMBERED)

    def add(self, channel: int, message: int, *, forbidden: bool) -> None:
        """Note that the thread of a message was refused; `forbidden`: for lack of a permission."""
        self._messages[message] = None
        if forbidden:
            _log.warning("the bot may not open threads in a channel and answers beside them", channel=channel)
            self.forbidden.add(channel)

    def __contains__(self, message: int) -> bool:
        return message in self._messages

    def go_on(self, conversation: str, begun: str) -> None:
        """Continue in the channel the conversation `begun` by a question whose thread was refused."""
        self._conversations[conversation] = begun

    def conversation(self, conversation: str) -> str:
        """Return the id of the conversation that a person's next question in the channel belongs to."""
        return self._conversations.get(conversation, conversation)

    def forget(self, conversation: str) -> str:
        """Begin a person's conversation in the channel anew, and return the id of the one until now."""
        return self._conversations.pop(conversation, conversation)
