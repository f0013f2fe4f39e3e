"""The adapter for Telegram: composes its parts. Everything runs on the event loop."""

from telegram.error import InvalidToken

from bot.adapters.attention import stays_silent
from bot.adapters.backend import Backend
from bot.adapters.telegram.addressing import PLATFORM
from bot.adapters.telegram.buttons import Buttons
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.commands import Commands
from bot.adapters.telegram.connection import Connection, bot_of
from bot.adapters.telegram.flood import FloodControl
from bot.adapters.telegram.incoming import Incoming
from bot.adapters.telegram.inline import InlineQueries, Search
from bot.adapters.telegram.menus import publish_menus_if_changed
from bot.adapters.telegram.outgoing import Outbox
from bot.adapters.telegram.polling import polling_request
from bot.adapters.telegram.progress import ProgressDisplay
from bot.adapters.telegram.replies import Background, Replies
from bot.adapters.telegram.sending import Sender
from bot.adapters.telegram.updates import Updates
from bot.adapters.telegram.webhook import Webhook
from bot.core.errors import SettingsError
from bot.core.messages import Address, Answer, Delivery, Update

_LONGEST_PROGRESS = 1.5  # times the deadline of a question, after which no progress is shown for it any more


class TelegramAdapter:
    """An Adapter for one Telegram bot, by polling or by a webhook."""

    name = PLATFORM

    def __init__(self, backend: Backend, search: Search) -> None:
        """`search` finds passages for inline queries."""
        settings, journal = backend.settings, backend.journal
        telegram = settings.telegram
        self._notes = journal.platforms
        self._operators = frozenset(map(str, telegram.operators))
        polling = polling_request()
        self._bot = bot_of(telegram, polling)
        self._flood = FloodControl()
        self._background = Background()
        chats = Chats(journal.platforms, telegram.policy)
        sender = Sender(self._bot, self._flood, chats)
        self._replies = Replies(sender, self._background, self._operators)
        self._outbox = Outbox(sender, chats, buttons=settings.storage.answer_days > 0)
        self._display = ProgressDisplay(sender, journal.parts, _LONGEST_PROGRESS * settings.queue.deadline_seconds)
        updates = Updates(
            backend,
            self._bot,
            incoming=Incoming(backend, self._bot, chats, self._replies),
            commands=Commands(backend, self._display, self._operators, self.describe),
            buttons=Buttons(backend, sender, chats),
            inline=InlineQueries(search),
            chats=chats,
            replies=self._replies,
            background=self._background,
        )
        self._connection = Connection(self._bot, polling, telegram, updates.handle)

    # --- Adapter

    async def run(self) -> None:
        """Take in updates until cancelled. Raises SettingsError if the token is refused, and PollingStalled."""
        try:
            await self._connection.open()
            self._background.start(publish_menus_if_changed(self._bot, self._notes, self._operators), long=True)
            await self._connection.serve()
        except InvalidToken:
            raise SettingsError(
                ["telegram.token: Telegram refuses the token; copy it again from @BotFather, or let him make a new one"]
            ) from None  # the library's message holds the token

    @property
    def trouble(self) -> str | None:
        return self._connection.trouble

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        await self._display.end(address)
        if stays_silent(address, answer):
            await self._outbox.withdraw(delivery)
        else:
            await self._outbox.deliver(address, answer, delivery)

    async def progress(self, address: Address, update: Update) -> None:
        self._display.show(address, update)

    async def close(self) -> None:
        """Close the connections; nothing can be delivered any more."""
        await self._background.close()
        await self._display.close()
        await self._connection.close()

    @property
    def webhook(self) -> Webhook | None:
        """The webhook, which the HTTP server mounts; None if the bot polls."""
        return self._connection.webhook

    def describe(self) -> str:
        """Return the state of the connection, of flood control and of short replies, in one line for an operator."""
        described = (self._connection.describe(), self._flood.describe(), self._replies.describe())
        return "; ".join(filter(None, described))
