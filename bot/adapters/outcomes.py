"""The outcome of each message that a platform brings, for the metrics and the log: none disappears without a reason."""

from enum import Enum

import structlog

from bot.observability import metrics

_log = structlog.stdlib.get_logger(__name__)


class MessageOutcome(Enum):
    """The outcome of a message. Only the first three send a reply or act."""

    ACCEPTED = "accepted"  # it asks, or corrects what was asked
    REPLIED = "replied"  # with a hint, help, a refusal or the result of a command
    CARRIED_OUT = "carried_out"  # a command that needs no reply, or the move of a group
    PERSON_LIMITED = "person_limited"  # its author has had many replies lately
    CHAT_LIMITED = "chat_limited"  # its chat has
    NOT_ADDRESSED = "not_addressed"  # people talk to each other
    UNPROMPTED = "unprompted"  # a refusal of what was not asked of the bot
    NO_WORDS = "no_words"  # a picture, an empty edit
    REPEATED = "repeated"  # the platform has delivered it twice, or its words have not changed
    LATE_EDIT = "late_edit"  # of a message that is too old to be asked anew
    WRITTEN_BY_BOT = "written_by_bot"  # or by the platform itself
    FOR_ANOTHER_BOT = "for_another_bot"
    UNKNOWN_COMMAND = "unknown_command"  # in a group, where it may be meant for another bot
    CHAT_OFF = "chat_off"  # the policy of its chat
    CHAT_FORBIDDEN = "chat_forbidden"  # its chat has refused the bot lately
    FAILED = "failed"  # an error, which is in the log


def note_outcome(platform: str, outcome: MessageOutcome) -> None:
    """Count a message by its outcome, and log the limits on replies."""
    metrics.MESSAGES.labels(platform, outcome.value).inc()
    if outcome in (MessageOutcome.PERSON_LIMITED, MessageOutcome.CHAT_LIMITED):
        _log.info("a reply was left out, for there were too many", platform=platform, reason=outcome.value)
