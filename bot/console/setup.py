"""Set-up: connects the bot to Discord or Telegram, from the token to the first message."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import SecretStr

from bot.console.parts import Parts, Setup
from bot.console.view import View
from bot.core.diagnosis import Diagnosis, Severity
from bot.core.errors import BotError, SettingsError
from bot.core.platforms import Platform

_NO_TOKEN = SecretStr("")
# Seconds that a set-up may take, and so the longest time for which an entered token stays in memory.
_LONGEST = 900.0


class _Connecting:
    """The set-up of a platform that was begun last: its steps so far. It ends after a quarter of an hour at the latest, and
    with it the token is forgotten."""

    def __init__(self, view: View, make: Callable[[str], Setup], *, served: bool) -> None:
        """`served`: the running bot receives the messages of this platform, so that nobody else may wait for them."""
        self._view = view
        self._make = make
        self._served = served
        self._task: asyncio.Task[None] | None = None
        self.findings: list[Diagnosis] = []
        self.kept = ""
        self.invitation: list[str] = []
        self.waiting = ""  # how to write to the bot, while its first message is waited for
        self.message = ""
        self.problem = ""

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def begun(self) -> bool:
        return self._task is not None

    async def begin(self, token: SecretStr) -> None:
        """Begin with a new token, or with that of the settings if it is empty. A set-up that runs is ended first."""
        await self.stop()
        self.findings, self.invitation = [], []
        self.kept = self.waiting = self.message = self.problem = ""
        self._task = asyncio.create_task(self._run(token), name="console-setup")

    async def stop(self) -> None:
        """End the set-up that runs, if any. A token that was kept stays in the settings."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, token: SecretStr) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                await self._connect(await self._view.in_thread(self._make, token.get_secret_value()), new=bool(token))
        except TimeoutError:
            step = "No message has come" if self.waiting else "The platform has not answered"
            self.problem = f"{step} within {_LONGEST / 60:g} minutes, so the set-up has ended. Begin it again."
        except BotError as error:
            self.problem = str(error)
        finally:
            self.waiting = ""

    async def _connect(self, setup: Setup, *, new: bool) -> None:
        async for found in setup.check():
            self.findings.append(found)
        if any(found.level is Severity.ERROR for found in self.findings):
            return
        if new:
            self.kept = await self._view.in_thread(setup.keep)
        self.invitation = await setup.invitation()
        if not self._served:
            self.waiting = setup.how_to_write
            self.message = await setup.first_message()


def router(parts: Parts, view: View) -> APIRouter:
    """Return the pages of the set-up, with what their forms do."""
    pages = APIRouter()
    checked = [Depends(view.checked_form)]
    served = parts.settings.platforms

    def making(platform: Platform) -> Callable[[str], Setup]:
        return lambda token: parts.make_setup(platform, token)

    connecting = {one: _Connecting(view, making(one), served=one in served) for one in Platform}

    @pages.get("/setup")
    async def listed(request: Request) -> Response:
        return await view.page(request, "platforms.html", platforms=list(Platform), served=served)

    @pages.get("/setup/{platform}")
    async def shown(request: Request, platform: Platform) -> Response:
        setup = await view.in_thread(parts.make_setup, platform, "")
        return await view.page(
            request,
            "setup.html",
            platform=platform,
            served=platform in served,
            preparation=setup.preparation,
            run=connecting[platform],
        )

    @pages.post("/setup/{platform}", dependencies=checked)
    async def begin(request: Request, platform: Platform, token: Annotated[SecretStr, Form()] = _NO_TOKEN) -> Response:
        token = SecretStr(token.get_secret_value().strip())
        if not token and platform not in served:
            raise SettingsError(["no token was given: paste the one that you have got"])
        await connecting[platform].begin(token)
        return view.to(request, f"/setup/{platform}")

    @pages.post("/setup/{platform}/stop", dependencies=checked)
    async def stop(request: Request, platform: Platform) -> Response:
        await connecting[platform].stop()
        return view.to(request, f"/setup/{platform}", "Ended.")

    return pages
