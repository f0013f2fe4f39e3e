"""What the buttons below an answer do. They are valid after a restart: all they need is kept under the answer's reference."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog
from telegram import CallbackQuery, MaybeInaccessibleMessage, Message
from telegram.error import TelegramError

from bot.adapters.telegram.incoming import topic_of
from bot.adapters.telegram.outgoing import Place, Sender
from bot.adapters.telegram.rendering import HELPFUL, NOT_HELPFUL, PASSAGE, passages_of
from bot.core.errors import BotError, Undeliverable
from bot.core.messages import NotSent
from bot.questions.dispatcher import Dispatcher

_log = structlog.stdlib.get_logger(__name__)
_TOO_OLD = "This answer isn't kept any more."
_REMEMBERED = 1000  # passages shown lately, which are not shown again at the next press


class Buttons:
    def __init__(
        self, platform: str, dispatcher: Dispatcher, sender: Sender, moved_to: Callable[[str], Awaitable[str]]
    ) -> None:
        """`moved_to` says the present id of a chat that may have moved."""
        self._platform = platform
        self._dispatcher = dispatcher
        self._sender = sender
        self._moved_to = moved_to
        self._shown: OrderedDict[str, None] = OrderedDict()

    async def pressed(self, query: CallbackQuery) -> None:
        """Do what a button says. The query is answered in any case, else the app shows for a while that it waits."""
        said, alert = "Something went wrong on our side.", True
        try:
            said, alert = await self._carry_out(query)
        except BotError as error:
            said = str(error)[:200]
        except Exception:
            _log.exception("a button failed")
        try:
            await query.answer(said, show_alert=alert)
        except TelegramError as error:  # it was pressed too long ago
            _log.debug("a button press was not answered", error=type(error).__name__)

    async def _carry_out(self, query: CallbackQuery) -> tuple[str, bool]:
        """(what to say, whether so that it has to be dismissed)"""
        kind, _, reference = (query.data or "").partition(":")
        if query.message is None or not await self._belongs(reference, str(query.message.chat.id)):
            return _TOO_OLD, True
        if kind in (HELPFUL, NOT_HELPFUL):
            helpful = kind == HELPFUL
            author = str(query.from_user.id)
            kept = await self._dispatcher.feedback(self._platform, reference, author, helpful=helpful)
            thanks = "Thank you!" if helpful else "Thank you. The operator will see it."
            return (thanks, False) if kept else (_TOO_OLD, True)
        if kind == PASSAGE:
            return await self._show_passage(query.message, reference)
        return "I don't know this button any more.", True

    async def _belongs(self, reference: str, chat: str) -> bool:
        """Whether there is such an answer, and it was given in this chat: nobody can look into another one."""
        stored = await self._dispatcher.stored(self._platform, reference)
        return stored is not None and chat in (
            stored.question.address.chat,
            await self._moved_to(stored.question.address.chat),
        )

    async def _show_passage(self, below: MaybeInaccessibleMessage, reference: str) -> tuple[str, bool]:
        if reference in self._shown:
            return "It is shown further down already.", False
        stored = await self._dispatcher.stored(self._platform, reference)
        if stored is None:
            return _TOO_OLD, True
        self._shown[reference] = None
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
        topic = topic_of(below) if isinstance(below, Message) else stored.question.address.details["topic"]
        place = Place(below.chat.id, topic, below.message_id)
        try:
            for part in passages_of(stored.answer):
                await self._sender.send(place, part)
        except (TelegramError, Undeliverable, NotSent):
            self._shown.pop(reference, None)
            raise
        return "", False
