"""The page at /ask on which people chat with the bot in their browser."""

from fastapi import APIRouter, Response

from bot.adapters.http.chat import STATIC, Chat
from bot.http.html import html
from bot.http.sessions import SessionRole
from bot.http.sites import Site

PATH = "/ask"


def ask_site(chat: Chat) -> Site:
    """Return the site of the page. If a token is set, users have to sign in first."""
    page = (STATIC / "ask.html").read_text(encoding="utf-8")
    router = APIRouter()

    @router.get("/")
    async def show() -> Response:
        return html(page)

    router.include_router(chat.router(lambda _, visitor: f"page:{visitor}"))
    return Site(PATH, SessionRole.ASKER, router)
