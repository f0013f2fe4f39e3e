"""`knowledge-bot setup`: connects the bot to a platform, from the token to the first message."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import ConfigOption, ExitCode, complain, say, settings_of
from bot.commands.operations import PlatformArgument
from bot.core.errors import SettingsError

if TYPE_CHECKING:
    from bot.adapters.setting_up import PlatformSetup


def setup(
    platform: PlatformArgument,
    new_token: Annotated[bool, typer.Option("--new-token", help="Ask for a token although one is set.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Don't wait for the first message.")] = False,
    config: ConfigOption = None,
) -> None:
    """Connect the bot to a platform: take its token, check it, keep it in the settings, and wait for the first message."""
    from bot.adapters.setting_up import PlatformSetup, require_no_variable

    settings = settings_of(config)
    chosen = PlatformSetup(platform, settings, config)
    known = platform in settings.platforms and not new_token
    if known:
        say("The token of the settings is used; --new-token asks for another one.")
    else:
        require_no_variable(platform)  # before somebody takes the trouble to make a token
        say(chosen.preparation)
        chosen = PlatformSetup(platform, settings, config, _asked_token())
    if not asyncio.run(_is_right(chosen)):
        raise typer.Exit(ExitCode.FAILURE)
    if not known:
        say(chosen.keep())
    say("\n".join(asyncio.run(chosen.invitation())))
    if not no_wait:
        say(f"Now {chosen.how_to_write}. Waiting for the first message; Ctrl-C ends this…")
        say(asyncio.run(chosen.first_message()))
    say("Start the bot with: knowledge-bot run")


def _asked_token() -> str:
    if sys.stdin.isatty():
        token = str(typer.prompt("Token (it is not shown)", hide_input=True)).strip()
    else:
        token = sys.stdin.readline().strip()
    if not token:
        raise SettingsError(["no token was given: type it, or pass it on standard input"])
    return token


async def _is_right(chosen: "PlatformSetup") -> bool:
    """Print the answers of the platform, and return whether the token is right."""
    from bot.core.diagnosis import Severity

    right = True
    async for found in chosen.check():
        right = right and found.level is not Severity.ERROR
        tell = say if found.level is Severity.OK else complain
        tell(f"{found.subject}: {found.text}")
    return right
