"""Settings: the value of each, its default and its origin; and the rules of single chats."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr

from bot.console.parts import Parts
from bot.console.view import View
from bot.core.platforms import Platform
from bot.core.settings import Settings, all_settings, origins


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting for people. `origin` is empty where it is left at its default."""

    section: str
    key: str
    value: str
    default: str
    origin: str
    help: str


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of settings."""
    pages = APIRouter()

    @pages.get("/settings")
    async def shown(request: Request) -> Response:
        settings = await view.in_thread(lambda: list(shown_settings(parts.settings, origins(parts.config))))
        store = parts.administration.journal.platforms
        platforms = {platform: await store.policies(platform) for platform in Platform}
        return await view.page(
            request,
            "settings.html",
            settings=settings,
            policies={
                platform: (parts.settings.of_platform(platform).policy, policies)
                for platform, policies in platforms.items()
            },
        )

    return pages


def shown_settings(settings: Settings, came_from: dict[tuple[str, str], str]) -> Iterator[ShownSetting]:
    """Yield every setting, secret ones without their values."""
    for section, key, default, meaning in all_settings():
        value = getattr(getattr(settings, section), key)
        yield ShownSetting(section, key, _text(value), _text(default), came_from.get((section, key), ""), meaning)


def _text(value: Any) -> str:
    """Return a value as in the settings file; for a secret only whether it is set."""
    match value:
        case SecretStr():
            return "set" if value.get_secret_value() else "not set"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(map(str, value))
        case None:
            return ""
        case _:
            return str(value)
