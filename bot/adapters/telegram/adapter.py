"""The adapter for Telegram: composes its parts. Everything runs on the event loop."""

from collections.abc import Awaitable, Callable

from telegram.error import InvalidToken

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
from bot.core.messages import Address, Answer, Delivery, Outcome, Update
from bot.core.settings import Settings
from bot.questions.administration import Administration
from bot.questions.admission import Admission
from bot.storage.base import Forgotten, Journal
from bot.tasks.desk import TaskDesk

_LONGEST_PROGRESS = 1.5  # times the deadline of a question, after which no progress is shown for it any more


class TelegramAdapter:
    """An Adapter for one Telegram bot, by polling or by a webhook."""

    name = PLATFORM

    def __init__(
        self,
        admission: Admission,
        administration: Administration,
        journal: Journal,
        forget_conversation: Callable[[str], Awaitable[None]],
        search: Search,
        settings: Settings,
        *,
        tasks: TaskDesk | None = None,
    ) -> None:
        """`forget_conversation` erases the turns of a conversation; `search` finds passages for inline queries. `tasks`: None
        where there are none."""
        telegram = settings.telegram
        self._admission = admission
        self._forget_conversation = forget_conversation
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
        self._incoming = Incoming(self._bot, admission, journal, chats, self._replies)
        updates = Updates(
            self._bot,
            telegram,
            incoming=self._incoming,
            commands=Commands(administration, self, self._operators, tasks),
            buttons=Buttons(journal.answers, sender, chats),
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
        if answer.outcome is Outcome.SUGGESTED and address.details.get("unasked"):
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

    # --- Actions of the commands

    async def forget_conversation(self, conversation: str) -> None:
        """Erase the turns of a conversation."""
        await self._forget_conversation(conversation)

    async def stop(self, conversation: str) -> bool:
        """Stop the question of a conversation that is in work. Returns False if none is."""
        return await self._incoming.stop(conversation)

    async def forget(self, author: str) -> Forgotten:
        """Erase the questions, turns and feedback of an author, and the progress shown for their questions."""
        forgotten = await self._admission.forget(PLATFORM, author)
        await self._display.end_all(author)
        return forgotten

    def describe(self) -> str:
        """Return the state of the connection, of flood control and of short replies, in one line for an operator."""
        described = (self._connection.describe(), self._flood.describe(), self._replies.describe())
        return "; ".join(filter(None, described))
