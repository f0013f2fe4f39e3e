"""The connection to Telegram: reaches the service, then polls or registers the webhook."""

import asyncio

import structlog
from telegram import Bot
from telegram.error import InvalidToken, TelegramError
from telegram.request import BaseRequest, HTTPXRequest

from bot.adapters.telegram.polling import HandleUpdates, Poller
from bot.adapters.telegram.webhook import Webhook
from bot.core.settings import TelegramSettings
from bot.core.text import counted
from bot.core.tls import trusted_certificates

_log = structlog.stdlib.get_logger(__name__)
# Seconds for the webhook to be removed when the bot stops.
_REMOVING = 5.0
# Seconds between tries to reach the service at the start, the last one repeated.
_CONNECT_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)


def bot_of(settings: TelegramSettings, polling: BaseRequest) -> Bot:
    """Return the library's Bot for the token and the server in the settings; it polls through `polling`."""
    api = settings.api_url.rstrip("/")
    return Bot(
        settings.token.get_secret_value(),
        base_url=f"{api}/bot",
        base_file_url=f"{api}/file/bot",
        request=HTTPXRequest(
            connect_timeout=10.0,
            read_timeout=20.0,
            pool_timeout=10.0,
            httpx_kwargs={"verify": trusted_certificates()},
        ),
        get_updates_request=polling,
    )


class Connection:
    """Receives updates by polling or by the webhook. `webhook` is None if the bot polls."""

    def __init__(self, bot: Bot, polling: BaseRequest, settings: TelegramSettings, handle: HandleUpdates) -> None:
        """`handle` takes in updates; after a StorageError they are received again."""
        self._bot = bot
        self._polling = polling
        self._settings = settings
        self._handle = handle
        self._reached = False
        self._poller: Poller | None = None
        self.webhook: Webhook | None = None
        if settings.webhook_url:
            self.webhook = Webhook(bot, settings.webhook_url, handle)

    async def open(self) -> None:
        """Try to reach the service until that succeeds. Raises InvalidToken."""
        self._reached = False
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

    async def serve(self) -> None:
        """Hand updates over until cancelled. Raises InvalidToken and PollingStalled."""
        await (self._poll() if self.webhook is None else self._listen(self.webhook))

    async def close(self) -> None:
        """Close the connection pools; nothing can be sent any more."""
        await self._bot.shutdown()

    @property
    def trouble(self) -> str | None:
        """Why no updates are received, in words for an operator; None if they are."""
        if not self._reached:
            return "Telegram has not been reached yet"
        if self.webhook is not None or self._poller is None:
            return None
        if self._poller.health.conflict:
            return "another program polls with this bot's token: stop it, or get a token of its own from @BotFather"
        health = self._poller.health
        return f"no poll has come back for {health.silent_seconds:.0f} seconds" if health.silent else None

    def describe(self) -> str:
        """Return the state of the connection in one line for an operator; empty before the first poll."""
        if self.webhook is not None:
            updates = counted(self.webhook.counts["received"], "update")
            return f"webhook: {updates}, {counted(self.webhook.counts['forbidden'], 'request')} with a wrong secret"
        if self._poller is None:
            return ""
        health = self._poller.health
        state = (
            "another program polls with this token"
            if health.conflict
            else f"last poll {health.silent_seconds:.0f} s ago"
        )
        return f"polling: {state}, {counted(health.rebuilds, 'pool')} built anew"

    async def _poll(self) -> None:
        await self._bot.delete_webhook(drop_pending_updates=False)
        self._poller = Poller(self._bot, self._polling, self._handle)
        await self._poller.run()

    async def _listen(self, webhook: Webhook) -> None:
        """Register the webhook until cancelled, then remove it: Telegram keeps updates while the bot is away."""
        try:
            await webhook.register()
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(_REMOVING):
                    await webhook.remove()
            except (TelegramError, TimeoutError) as error:  # the next start registers or deletes it
                _log.warning("the webhook was not removed", error=type(error).__name__)
