"""The webhook, to which Telegram sends updates. An update is acknowledged once it is durable, and repeated until then."""

import hmac
import json
import secrets
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Request, Response
from telegram import Bot, Update

from bot.adapters.telegram.polling import WANTED, HandleUpdates
from bot.core.errors import StorageError

_log = structlog.stdlib.get_logger(__name__)
_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_LARGEST = 2**20  # bytes; real updates have a few thousand
_CONNECTIONS = 20


class Webhook:
    """The HTTP route of the webhook, `router`, which the HTTP server mounts, and its registration with Telegram.

    `counts`: updates `received`, and requests with a wrong secret (`forbidden`).
    """

    def __init__(self, bot: Bot, url: str, handle: HandleUpdates) -> None:
        self._bot = bot
        self._url = url
        self._secret = secrets.token_urlsafe(32)
        self._handle = handle
        self._registered = False
        self.counts: Counter[str] = Counter()
        self.router = APIRouter()
        self.router.add_api_route(urlsplit(url).path or "/", self._receive, methods=["POST"])

    async def register(self) -> None:
        """Have Telegram send updates to the route."""
        await self._bot.set_webhook(
            self._url, secret_token=self._secret, allowed_updates=WANTED, max_connections=_CONNECTIONS
        )
        self._registered = True
        _log.info("webhook registered", path=urlsplit(self._url).path)

    async def remove(self) -> None:
        """Remove the webhook. Telegram keeps updates until it is registered again, or the bot polls."""
        self._registered = False
        await self._bot.delete_webhook(drop_pending_updates=False)
        _log.info("webhook removed")

    async def _receive(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(_HEADER, "").encode(), self._secret.encode()):
            self.counts["forbidden"] += 1
            _log.warning("a webhook request with a wrong secret", so_far=self.counts["forbidden"])
            return Response(status_code=HTTPStatus.FORBIDDEN)
        if not self._registered:  # the registration of an earlier run; the bot has not reached the service yet
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        body = await _body(request)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        update = self._understood(body)
        if update is None:
            return Response()  # repeating it would not help
        try:
            await self._handle([update])
        except StorageError as error:
            _log.error("an update can't be kept; Telegram will repeat it", error=str(error))
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        self.counts["received"] += 1
        return Response()

    def _understood(self, body: bytes) -> Update | None:
        try:
            data: dict[str, Any] = json.loads(body)
            return Update.de_json(data, self._bot)
        except Exception as error:  # no JSON, or an update that the library can't read
            _log.error("an update can't be read and is left out", error=type(error).__name__)
            return None


async def _body(request: Request) -> bytes | None:
    """Return the body of a request, or None if it is larger than any update."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            return None
    return body
