"""The updates of a local Telegram: the bot polls for them, or gets them at its webhook."""

import asyncio
import itertools
import re
import time
from typing import Any, Self

import aiohttp

from tests.platforms.telegram_chats import Chat, Chats, Json
from tests.platforms.telegram_markup import Refused


class Events(Chats):
    """Makes updates of the events in the chats and keeps each until the bot has confirmed it."""

    def __init__(self, *, privacy: bool = True, bot: int = 123456, beside: Self | None = None) -> None:
        """`privacy`: in a group the bot gets only commands, mentions and replies to itself."""
        super().__init__(bot=bot, beside=beside)
        self.privacy = privacy
        self.webhook: Json = {}
        self.webhook_repeats = 1  # how often each update is delivered to the webhook
        self.webhook_shuffled = False
        self.webhook_statuses: list[int] = []
        self._updates: dict[int, Json] = {}
        self._update_ids = itertools.count(1000)
        self._allowed: list[str] | None = None
        self._news = asyncio.Condition()
        self._poller: asyncio.Event | None = None  # set to end the poll that is waiting
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> list[Json]:
        """The updates that the bot has not confirmed yet."""
        return list(self._updates.values())

    def update(self, kind: str, content: Json) -> int:
        """An update of any kind, as it stands; returns its id."""
        return self._update(kind, content)

    def _update(self, kind: str, content: Json) -> int:
        number = next(self._update_ids)
        if self._allowed is None or not self._allowed or kind in self._allowed:
            self._updates[number] = {"update_id": number, kind: content}
            self._start(self._announce())
        return number

    def _bot_sees(self, chat: Chat, message: Json) -> bool:
        """The privacy mode: in a group the bot sees commands, mentions and replies to itself only."""
        if chat.bot_status != "member":
            return False
        if not chat.is_group or not self.privacy:
            return True
        text = message.get("text") or message.get("caption") or ""
        if (message.get("reply_to_message", {}).get("from") or {}).get("id") == self.me["id"]:
            return True
        if (message.get("via_bot") or {}).get("id") == self.me["id"]:
            return True
        if re.match(r"/\w+", text):
            return "@" not in text.split()[0] or text.split()[0].lower().endswith(f"@{self.me['username']}")
        return f"@{self.me['username']}" in text.lower()

    async def _announce(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- polling

    async def _do_getUpdates(self, wanted: Json) -> list[Json]:  # noqa: N802
        if self.webhook:
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            )
        if self._poller is not None:
            self._poller.set()
        ended = self._poller = asyncio.Event()
        self._allowed = wanted.get("allowed_updates", self._allowed)
        offset = wanted.get("offset", 0)
        for number in [number for number in self._updates if number < offset]:
            del self._updates[number]
        await self._wait_for_updates(wanted.get("timeout", 0), ended)
        if ended.is_set():
            raise Refused(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            )
        self._poller = None
        return list(self._updates.values())[: wanted.get("limit", 100)]

    async def _wait_for_updates(self, seconds: float, ended: asyncio.Event) -> None:
        until = time.monotonic() + seconds
        while not self._updates and not ended.is_set() and (left := until - time.monotonic()) > 0:
            ending = asyncio.ensure_future(ended.wait())
            hearing = asyncio.ensure_future(self._hear())
            await asyncio.wait((ending, hearing), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            hearing.cancel()
            await asyncio.gather(ending, hearing, return_exceptions=True)

    async def _hear(self) -> None:
        async with self._news:
            await self._news.wait()

    # --- the webhook

    async def _do_setWebhook(self, wanted: Json) -> bool:  # noqa: N802
        self.webhook = wanted
        self._allowed = wanted.get("allowed_updates", self._allowed)
        self._start(self._feed_webhook())
        return True

    async def _do_deleteWebhook(self, wanted: Json) -> bool:  # noqa: N802
        self.webhook = {}
        if wanted.get("drop_pending_updates"):
            self._updates.clear()
        return True

    async def _do_getWebhookInfo(self, _: Json) -> Json:  # noqa: N802
        return {
            "url": self.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(self._updates),
        }

    async def _feed_webhook(self) -> None:
        """Deliver what is pending to the webhook, again and again until it is taken."""
        hook = self.webhook
        async with aiohttp.ClientSession() as session:
            while self.webhook is hook:
                if not self._updates:
                    await self._hear_briefly()
                    continue
                batch = list(self._updates.values())
                for update in reversed(batch) if self.webhook_shuffled else batch:
                    for _ in range(self.webhook_repeats):
                        if await self._deliver(session, hook, update):
                            self._updates.pop(update["update_id"], None)
                await asyncio.sleep(0.05)

    async def _hear_briefly(self) -> None:
        try:
            async with asyncio.timeout(0.2):
                await self._hear()
        except TimeoutError:
            return

    async def _deliver(self, session: aiohttp.ClientSession, hook: Json, update: Json) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret_token"]} if "secret_token" in hook else {}
        try:
            async with session.post(
                hook["url"], json=update, headers=headers, timeout=aiohttp.ClientTimeout(10)
            ) as response:
                self.webhook_statuses.append(response.status)
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False
