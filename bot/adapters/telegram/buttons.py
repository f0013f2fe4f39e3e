"""The buttons below an answer. They hold its reference only, so that they work after a restart."""

import asyncio

import structlog
from telegram import CallbackQuery, MaybeInaccessibleMessage, Message
from telegram.error import NetworkError, TelegramError

from bot.adapters.backend import Backend
from bot.adapters.recent import Recent
from bot.adapters.telegram.addressing import PLATFORM
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.places import Place, topic_of
from bot.adapters.telegram.rendering import HELPFUL, MORE, NOT_HELPFUL, PASSAGE, more_of, passages_of
from bot.adapters.telegram.sending import Sender
from bot.adapters.texts import NOT_KEPT, OUR_FAULT
from bot.core.errors import BotError
from bot.core.rights import Role, may
from bot.storage.base import KeptAnswer

_log = structlog.stdlib.get_logger(__name__)
_ACTIONS = {HELPFUL: "rate", NOT_HELPFUL: "rate", PASSAGE: "source", MORE: "more"}
_REMEMBERED = 1000  # answers of which something was shown lately that is not shown again


class Buttons:
    """Carries out presses of buttons: rating an answer, showing its passages, and showing the rest of its section."""

    def __init__(self, backend: Backend, sender: Sender, chats: Chats) -> None:
        self._answers = backend.journal.answers
        self._sender = sender
        self._chats = chats
        self._shown = Recent[tuple[str, str], None](_REMEMBERED)  # by kind of button and reference

    async def pressed(self, query: CallbackQuery) -> None:
        """Carry out a press and answer its query, also after an error: the app shows that it waits until then."""
        said, alert = OUR_FAULT, True
        try:
            said, alert = await self._carry_out(query)
        except BotError as error:
            said = str(error)[:200]
        except NetworkError as error:  # it may have arrived
            said = "The connection to Telegram broke. If nothing is shown below, please press again."
            _log.warning("a button failed", error=type(error).__name__)
        except Exception:
            _log.exception("a button failed")
        try:
            await query.answer(said, show_alert=alert)
        except TelegramError as error:  # it was pressed too long ago
            _log.debug("a button press was not answered", error=type(error).__name__)

    async def _carry_out(self, query: CallbackQuery) -> tuple[str, bool]:
        """Return the text to show, and whether it has to be dismissed."""
        kind, _, reference = (query.data or "").partition(":")
        kept = await self._kept(reference, query.message.chat.id) if query.message else None
        roles = {Role.PERSON, *([Role.READER] if kept else [])}
        if query.message is None or kept is None or not may(_ACTIONS.get(kind, ""), roles, private=False):
            return NOT_KEPT, True
        if kind in (HELPFUL, NOT_HELPFUL):
            return await self._note_feedback(reference, str(query.from_user.id), helpful=kind == HELPFUL)
        return await self._show(kind, query.message, kept, str(query.from_user.id))

    async def _kept(self, reference: str, chat: int) -> KeptAnswer | None:
        """Return the answer if it is kept and was given in this chat, so that a forged reference opens no other one."""
        kept = await self._answers.stored(PLATFORM, reference)
        if kept is None:
            return None
        given_in = kept.question.address.chat
        return kept if str(chat) in (given_in, await self._chats.current_id(given_in)) else None

    async def _note_feedback(self, reference: str, author: str, *, helpful: bool) -> tuple[str, bool]:
        if not await self._answers.add_feedback(PLATFORM, reference, author, helpful=helpful, reason=""):
            return NOT_KEPT, True
        return "Thank you!" if helpful else "Thank you. The operator will see it.", False

    async def _show(
        self, kind: str, below: MaybeInaccessibleMessage, kept: KeptAnswer, person: str
    ) -> tuple[str, bool]:
        """Reply with the passages behind an answer, or with the rest of its section. A second press sends nothing."""
        key = kind, kept.answer.reference
        if key in self._shown:
            return "It is shown further down already.", False
        if kind == MORE and not kept.answer.more:
            return NOT_KEPT, True
        self._shown[key] = None  # before the first await, during which the second press of a double tap may come
        topic = topic_of(below) if isinstance(below, Message) else kept.question.address.details["topic"]
        place = Place(below.chat.id, topic, below.message_id, person)
        try:
            for part in await asyncio.to_thread(passages_of if kind == PASSAGE else more_of, kept.answer):
                await self._sender.send(place, part)
        except Exception:
            self._shown.pop(key, None)
            raise
        return "", False
