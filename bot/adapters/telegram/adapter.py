"""TelegramAdapter: updates in, questions to the dispatcher, answers back. Runs on the event loop; nothing here blocks it.

An update is confirmed, be it to the poll or to the webhook, only when what it asks for is in the journal. What is only said in
reply (help, "busy") is sent in the background, but for a moment the confirmation waits for it too.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog
from telegram import Bot, ChatMemberUpdated, Message, Update, User
from telegram import InlineKeyboardMarkup as Keyboard
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import InvalidToken, TelegramError
from telegram.request import HTTPXRequest

from bot.adapters.layout import safe
from bot.adapters.telegram import rendering
from bot.adapters.telegram.buttons import Buttons
from bot.adapters.telegram.commands import PLATFORM, Caller, Commands, carried_out, menus_hash, publish_menus
from bot.adapters.telegram.flood import FloodControl
from bot.adapters.telegram.formatting import RichText, plain, split
from bot.adapters.telegram.incoming import (
    Command,
    asked_in,
    author_of,
    begins_topic,
    command_in,
    for_another_bot,
    is_group,
    place_of,
    replied_text,
    replies_to,
    topic_of,
)
from bot.adapters.telegram.inline import InlineQueries, Search
from bot.adapters.telegram.outgoing import MessageGone, Place, Sender, Sent
from bot.adapters.telegram.polling import GRACE, Poller, polling_request
from bot.adapters.telegram.progress import Presence
from bot.adapters.telegram.progress import place_of as answer_place
from bot.adapters.telegram.webhook import Webhook
from bot.core.errors import EngineBusy, RateLimited, SettingsError, StorageError, Undeliverable
from bot.core.messages import Address, Answer, Delivery, NotSent, Policy, Question, Sending
from bot.core.messages import Update as Progress
from bot.core.settings import Settings
from bot.engine.conversation import Conversations
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.storage.base import Forgotten, PlatformStore

K = TypeVar("K")
V = TypeVar("V")
_log = structlog.stdlib.get_logger(__name__)
# Seconds that confirming updates waits for what is said in reply to them.
_REPLIES = 1.5
# Seconds for the webhook to be removed when the bot stops.
_REMOVING = 5.0
# Seconds between tries to reach the service at the start, the last one repeated.
_CONNECT_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
# Seconds between tries to take in a question of a backlog that finds the queue full.
_BACKLOG_PAUSE = 0.5
_REMEMBERED = 5000  # conversations with their last question, and updates of the webhook
_CLOSED = "I was away when you asked this. If it still matters, please ask again."
_FAILED = "Something went wrong on our side. Please ask again, or tell the operator."
_TEXT_ONLY = "I answer questions that are written. Just write one; /help says more."
_HINT = "Yes? Write your question behind my name, or reply to a message that asks it. /help says more."
_TASK_LIMIT = 1.5  # times the deadline of a question, after which nothing is shown for it any more


class TelegramAdapter:
    """An Adapter for one Telegram bot, by polling or by a webhook."""

    name = PLATFORM

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        administration: Administration,
        store: PlatformStore,
        conversations: Conversations,
        search: Search,
    ) -> None:
        """`search` finds passages for inline queries, best first."""
        self._settings = settings.telegram
        self._keeps_answers = settings.storage.answer_days > 0
        self._dispatcher = dispatcher
        self._store = store
        self._polling = polling_request()
        self._request = HTTPXRequest(connect_timeout=10.0, read_timeout=20.0, pool_timeout=10.0)
        self._bot = Bot(
            self._settings.token.get_secret_value(),
            base_url=f"{self._settings.api_url.rstrip('/')}/bot",
            base_file_url=f"{self._settings.api_url.rstrip('/')}/file/bot",
            request=self._request,
            get_updates_request=self._polling,
        )
        self.flood = FloodControl()
        self._sender = Sender(self._bot, self.flood, on_gone=self._has_gone, on_moved=self._has_moved)
        self._presence = Presence(
            self._sender,
            place=dispatcher.place,
            placed=dispatcher.placed,
            longest_seconds=_TASK_LIMIT * settings.queue.deadline_seconds,
        )
        self._buttons = Buttons(PLATFORM, dispatcher, self._sender, self._moved_to)
        self._inline = InlineQueries(search)
        self._operators = frozenset(map(str, self._settings.operators))
        self._commands = Commands(
            administration,
            operators=self._operators,
            forget_conversation=conversations.forget,
            stop=self._stop_last,
            forget=self._forget,
            health=self.describe,
        )
        self._reached = False
        self._poller: Poller | None = None
        self.webhook: Webhook | None = None
        if self._settings.webhook_url:
            secret = self._settings.webhook_secret.get_secret_value()
            self.webhook = Webhook(self._bot, self._settings.webhook_url, secret, self._handle)
        self._gone: dict[int, bool] = {}  # chats that are known to have blocked the bot, or not to have
        self._last: OrderedDict[str, Address] = OrderedDict()  # by conversation
        self._getting_ready_at = 0.0  # when the bot was last seen getting ready, in seconds since the epoch
        self._handled: OrderedDict[int, None] = OrderedDict()  # ids of updates
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: set[asyncio.Task[None]] = set()  # those of the tasks that are over in a moment

    # --- Adapter

    async def run(self) -> None:
        """Take updates in until cancelled. Raises SettingsError where the token is refused, and PollingStalled."""
        self._reached = False
        try:
            await self._connect()
            self._start(self._publish_menus(), long=True)
            await (self._poll() if self.webhook is None else self._listen(self.webhook))
        except InvalidToken:
            raise SettingsError(
                ["telegram.token: Telegram refuses the token; copy it again from @BotFather, or let him make a new one"]
            ) from None  # the library's message holds the token

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        await self._presence.end(address)
        if await self._is_gone(int(address.chat)):
            raise Undeliverable("the bot was blocked or removed there")
        parts = await asyncio.to_thread(rendering.parts_of, answer, late=answer.late or address.details["late"])
        keyboard = rendering.buttons(answer.reference) if answer.answered and self._keeps_answers else None
        for number, part in enumerate(parts):
            below = keyboard if number == len(parts) - 1 else None
            await self._sender.turn(int(address.chat))
            await delivery.send_part(number, partial(self._send_part, answer_place(address), part, below))
        for message in await delivery.left_over(len(parts)):
            await self._sender.delete(Sent.from_text(message))

    async def progress(self, address: Address, update: Progress) -> None:
        self._presence.show(address, update)

    async def close(self) -> None:
        """Let go of the connections; nothing can be delivered any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bot.shutdown()

    # --- the connection

    async def _connect(self) -> None:
        """Reach the service, however long it takes. Raises InvalidToken."""
        pauses = iter(_CONNECT_PAUSES)
        await self._polling.initialize()
        while True:
            try:
                await self._bot.initialize()
                self._reached = True
                return
            except InvalidToken:
                raise
            except TelegramError as error:
                pause = next(pauses, _CONNECT_PAUSES[-1])
                _log.warning("Telegram can't be reached", error=type(error).__name__, retry_seconds=pause)
                await asyncio.sleep(pause)

    async def _poll(self) -> None:
        await self._bot.delete_webhook(drop_pending_updates=False)
        self._poller = Poller(self._bot, self._polling, self._handle, self._settings.poll_seconds)
        await self._poller.run()

    async def _listen(self, webhook: Webhook) -> None:
        """Have updates sent to the webhook until cancelled. While the bot is away, Telegram keeps them."""
        try:
            await webhook.register()
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(_REMOVING):
                    await webhook.remove()
            except (TelegramError, TimeoutError) as error:  # the next start sets it anew
                _log.warning("the webhook was not removed", error=type(error).__name__)

    @property
    def _me(self) -> User:
        return self._bot.bot

    @property
    def trouble(self) -> str | None:
        if not self._reached:
            return "Telegram has not been reached yet"
        if self.webhook is not None or self._poller is None:
            return None
        health = self._poller.health
        if health.conflict:
            return "another program polls with this bot's token: stop it, or get a token of its own from @BotFather"
        silent = time.monotonic() - health.since
        return (
            f"no poll has come back for {silent:.0f} seconds" if silent > self._settings.poll_seconds + GRACE else None
        )

    def describe(self) -> str:
        """How the connection is, in one line for an operator."""
        waits = self.flood.counts
        flood = (
            f"flood control: {waits['turns_waited']} messages waited, {waits['seconds_waited']} s in all, "
            f"{waits['refused']} refused by the service"
        )
        if self.webhook is not None:
            received = self.webhook.counts
            return f"webhook: {received['received']} updates, {received['forbidden']} requests with a wrong secret; {flood}"
        if self._poller is None:
            return flood
        health = self._poller.health
        silent = time.monotonic() - health.since
        state = "another program polls with this token" if health.conflict else f"last poll {silent:.0f} s ago"
        return f"polling: {state}, {health.rebuilds} pools built anew; {flood}"

    async def _publish_menus(self) -> None:
        """Tell the apps which commands there are, when they have changed since the last time."""
        key = menus_hash(self._operators)
        try:
            if await self._store.note(PLATFORM, "menus") != key and await publish_menus(self._bot, self._operators):
                await self._store.set_note(PLATFORM, "menus", key)
        except (TelegramError, StorageError) as error:
            _log.warning("the menus of commands are not up to date", error=type(error).__name__)

    # --- updates

    async def _handle(self, updates: Sequence[Update]) -> None:
        """Take updates in; when this returns, they may be confirmed. Raises StorageError where they could not be kept."""
        for update in updates:
            if update.update_id in self._handled:
                continue
            try:
                await self._take(update)
            except StorageError:
                raise
            except Exception:
                _log.exception("an update failed and is left out", update=update.update_id)
                if (message := update.effective_message) and message.chat.type == ChatType.PRIVATE:
                    self._start(self._reply(message, _said(_FAILED)))
            _remember(self._handled, update.update_id, None)
        if self._replies:
            await asyncio.wait(self._replies, timeout=_REPLIES)
            self._replies.clear()

    async def _take(self, update: Update) -> None:
        if message := update.message or update.edited_message:
            await self._take_message(message, edited=update.message is None)
        elif update.callback_query:
            self._start(self._buttons.pressed(update.callback_query))
        elif update.inline_query and self._settings.inline:
            self._inline.take(update.inline_query)
        elif update.my_chat_member:
            await self._standing_changed(update.my_chat_member)

    async def _take_message(self, message: Message, *, edited: bool) -> None:
        if message.migrate_to_chat_id:
            await self._has_moved(message.chat_id, message.migrate_to_chat_id)
            return
        author = author_of(message)
        if author is None or for_another_bot(message, self._me):
            return
        await self._is_back(message.chat_id)
        caller = self._caller(message, author)
        command = command_in(message, self._me)
        if command is not None and command.name != "ask":
            if not edited:
                await self._take_command(message, caller, command)
            return
        if message.document and caller.private and self._commands.is_operator(caller):
            if not edited:
                work = self._commands.add_document(self._bot, message.document, message.caption or "")
                self._start(self._reply(message, carried_out(work)), long=True)
            return
        policy = await self._policy(message)
        if policy is Policy.OFF:
            return
        text = command.rest if command else asked_in(message, self._me, policy)
        if command and not text:  # as a reply: what that message says is asked
            text = replied_text(message) or ""
        if text:
            await self._take_question(message, caller, text, edited=edited)
        elif text is not None and not edited and (message.effective_attachment or command or not caller.private):
            self._start(self._reply(message, _said(_TEXT_ONLY if caller.private else _HINT)))

    async def _take_command(self, message: Message, caller: Caller, command: Command) -> None:
        handler = self._commands.handler(command.name, caller)
        if handler is None:
            if caller.private:
                unknown = f"There is no command /{safe(command.name)}; /help lists them."
                self._start(self._reply(message, _said(unknown)))
            return
        work = carried_out(handler(caller, command.rest))
        long = self._commands.takes_long(command.name)
        if not long:
            work = _said(await work)  # done before the update is confirmed
        self._start(self._reply(message, work), long=long)

    async def _take_question(self, message: Message, caller: Caller, text: str, *, edited: bool) -> None:
        question = await self._question(message, caller, text, edited=edited)
        try:
            if edited and await self._dispatcher.revise(question):
                return
            if question.address.details["late"] and self._settings.stale_questions == "close":
                if not await self._dispatcher.known(question.address):
                    self._start(self._reply(message, _said(_CLOSED)))
                return
            if await self._accept(question, _asked_at(message, edited=edited)):
                _remember(self._last, caller.conversation, question.address)
        except (EngineBusy, RateLimited) as refusal:
            self._start(self._reply(message, _said(str(refusal))))

    async def _accept(self, question: Question, asked_at: datetime) -> bool:
        """Accept a question. One of a backlog waits for room, and so does one that was asked while the bot got ready: Telegram
        keeps what comes behind it, and whoever is refused then would be refused for nothing."""
        while True:
            if not self._dispatcher.ready:
                self._getting_ready_at = time.time()
            try:
                return await self._dispatcher.accept(question)
            except EngineBusy:
                if not question.address.details["late"] and asked_at.timestamp() > self._getting_ready_at:
                    raise
            await asyncio.sleep(_BACKLOG_PAUSE)

    async def _question(self, message: Message, caller: Caller, text: str, *, edited: bool) -> Question:
        asked_at = _asked_at(message, edited=edited)
        earlier = await self._replied_question(message)
        details = {
            "topic": topic_of(message),
            "private": caller.private,
            "late": time.time() - asked_at.timestamp() > self._settings.stale_seconds,
            "author": caller.author,
        }
        return Question(
            text=text,
            conversation=earlier.conversation if earlier else caller.conversation,
            author=caller.author,
            address=Address(PLATFORM, str(message.chat_id), str(message.message_id), details),
            received_at=datetime.now(UTC),
            replied_to=earlier.text if earlier and message.quote is None else replied_text(message),
        )

    async def _replied_question(self, message: Message) -> Question | None:
        """The question whose answer a message replies to: it is followed up, whoever has asked it."""
        replied = message.reply_to_message
        if replied is None or not replies_to(message, self._me):
            return None
        return await self._dispatcher.answered_by(PLATFORM, str(Sent(message.chat_id, replied.message_id)))

    def _caller(self, message: Message, author: str) -> Caller:
        private = message.chat.type == ChatType.PRIVATE
        conversation = f"{PLATFORM}:{message.chat_id}:{topic_of(message) or ''}"
        if not private and not self._settings.shared_conversations:
            conversation += f":{author}"
        return Caller(author, message.chat_id, private, conversation)

    async def _policy(self, message: Message) -> Policy:
        """When to answer in the chat of a message; for the first message of a new topic, `forum` is `always`."""
        if not is_group(message.chat):
            return Policy.MENTION
        policy = await self._store.policy(PLATFORM, [str(message.chat_id)]) or self._settings.policy
        if policy is not Policy.FORUM:
            return policy
        key = f"topic:{message.chat_id}:{message.message_thread_id}"
        if not begins_topic(message):
            return Policy.MENTION
        first = await self._store.note(PLATFORM, key) or str(message.message_id)
        await self._store.set_note(PLATFORM, key, first)
        return Policy.ALWAYS if first == str(message.message_id) else Policy.MENTION

    async def _forget(self, author: str) -> Forgotten:
        """Erase what is kept of somebody, and end what is shown for their questions."""
        forgotten = await self._dispatcher.forget(PLATFORM, author)
        await self._presence.end_all(author)
        return forgotten

    async def _stop_last(self, conversation: str) -> bool:
        address = self._last.get(conversation)
        return address is not None and await self._dispatcher.stop(address)

    # --- sending

    async def _send_part(self, place: Place, part: RichText, keyboard: Keyboard | None, sending: Sending) -> str:
        if sending.replaces is not None:
            try:
                await self._sender.edit(Sent.from_text(sending.replaces), part, keyboard, has_turn=True)
                return sending.replaces
            except MessageGone:
                _log.info("a message to edit is gone, sent anew")
        *before, last = rendering.marked_as_repeated(part) if sending.repeated else [part]
        for piece in before:
            await self._sender.send(place, piece)
        return str(await self._sender.send(place, last, keyboard, has_turn=not before and sending.replaces is None))

    async def _reply(self, message: Message, saying: Awaitable[str]) -> None:
        """Say something in reply to a message, which isn't tried again if the service can't be reached."""
        place = place_of(message)
        try:
            text = await saying
            for part in split(plain(text)) if text else ():
                await self._sender.send(place, part)
        except (TelegramError, Undeliverable, NotSent) as error:
            _log.warning("a reply was not sent", error=type(error).__name__)

    def _start(self, work: Coroutine[None, None, None], *, long: bool = False) -> None:
        """Do something in the background. What takes long is not waited for before updates are confirmed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not long:
            self._replies.add(task)

    # --- chats that come and go

    async def _standing_changed(self, change: ChatMemberUpdated) -> None:
        """The bot was added, removed, blocked or unblocked."""
        if change.new_chat_member.status in (ChatMemberStatus.BANNED, ChatMemberStatus.LEFT):
            await self._has_gone(change.chat.id)
        else:
            await self._is_back(change.chat.id)

    async def _is_gone(self, chat: int) -> bool:
        if chat not in self._gone:
            self._gone[chat] = await self._store.note(PLATFORM, f"gone:{chat}") is not None
        return self._gone[chat]

    async def _has_gone(self, chat: int) -> None:
        """Remember that nothing can be sent to a chat, until it is heard of again."""
        if not await self._is_gone(chat):
            self._gone[chat] = True
            await self._store.set_note(PLATFORM, f"gone:{chat}", "blocked or removed")
            _log.info("the bot was blocked or removed in a chat")

    async def _is_back(self, chat: int) -> None:
        if await self._is_gone(chat):
            self._gone[chat] = False
            await self._store.set_note(PLATFORM, f"gone:{chat}", None)

    async def _has_moved(self, old: int, new: int) -> None:
        """A group has become a supergroup, with another id: its policy goes along, and so does what is on its way."""
        await self._store.move_chat(PLATFORM, str(old), str(new))
        await self._store.set_note(PLATFORM, f"moved:{old}", str(new))
        _log.info("a group has got another id, its settings went along")

    async def _moved_to(self, chat: str) -> str:
        return await self._store.note(PLATFORM, f"moved:{chat}") or chat


async def _said(text: str) -> str:
    return text


def _asked_at(message: Message, *, edited: bool) -> datetime:
    return (message.edit_date if edited else None) or message.date


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
