"""The widget: the chat for pages of other sites, which the operator names. It needs no token and is limited by address."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request
from starlette.middleware.cors import CORSMiddleware

from bot.adapters.http.chat import Chat
from bot.http.addresses import network_of
from bot.http.problems import Problem
from bot.http.sites import Site

PATH = "/widget"


def widget_site(chat: Chat, origins: Sequence[str]) -> Site:
    """Return the routes of the widget, for pages of these origins."""
    key = secrets.token_bytes(32)  # of this run of the bot: nobody's address is kept

    def author(request: Request, _visitor: str) -> str:
        return f"widget:{hmac.new(key, network_of(request).encode(), hashlib.sha256).hexdigest()[:32]}"

    def require_origin(request: Request) -> None:
        # Only browsers state the origin of a page truly: this keeps out the pages of other sites, and no programs.
        if request.method == "POST" and request.headers.get("origin") not in origins:
            raise Problem(HTTPStatus.FORBIDDEN, "Pages of this site may not ask here; see http.widget_origins.")

    router = APIRouter(dependencies=[Depends(require_origin)])
    router.include_router(chat.router(author))
    allowed = CORSMiddleware(router, allow_origins=origins, allow_methods=["POST"], allow_headers=["Content-Type"])
    return Site(PATH, None, allowed)
