"""`knowledge-bot setup`: connects the bot to a platform, from the token to the first message."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from bot.commands.common import ConfigOption, ExitCode, complain, say, settings_of
from bot.commands.operations import PlatformArgument
from bot.core.errors import SettingsError
from bot.core.settings import DEFAULT_FILE, Settings, variables_of, variables_set


def setup(
    platform: PlatformArgument,
    new_token: Annotated[bool, typer.Option("--new-token", help="Ask for a token although one is set.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Don't wait for the first message.")] = False,
    config: ConfigOption = None,
) -> None:
    """Connect the bot to a platform: take its token, check it, keep it in the settings, and wait for the first message."""
    guide = _guide(platform)
    settings = settings_of(config)
    known = platform in settings.platforms
    if known and not new_token:
        say("The token of the settings is used; --new-token asks for another one.")
    else:
        _require_no_variable(platform)
        say(guide.PREPARATION)
        settings = _with_token(settings, platform, _asked_token())
    chosen = getattr(settings, platform)
    if not _is_right(settings, platform):
        raise typer.Exit(ExitCode.FAILURE)
    if not known or new_token:
        from bot.core.settings.writing import write_secret

        file = config or Path(DEFAULT_FILE)
        write_secret(file, platform, "token", chosen.token.get_secret_value())
        say(f"The token stands in {file} now, which only you can read. Keep it to yourself: it is a password.")
    say("\n".join(asyncio.run(guide.invitation(chosen))))
    if not no_wait:
        say(f"Now {guide.HOW_TO_WRITE}. Waiting for the first message; Ctrl-C ends this…")
        say(asyncio.run(guide.first_message(chosen)))
    say("Start the bot with: knowledge-bot run")


def _guide(platform: str) -> Any:
    if platform == "discord":
        from bot.adapters.discord import setup as discord

        return discord
    from bot.adapters.telegram import setup as telegram

    return telegram


def _require_no_variable(platform: str) -> None:
    """Raise SettingsError where the environment would win over a token in the file."""
    if found := sorted(variables_set().intersection(variables_of((platform, "token")))):
        raise SettingsError([f"{found[0]} is set in the environment and wins over the settings file: unset it first"])


def _asked_token() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Token (it is not shown)", hide_input=True)).strip()
    if not (token := sys.stdin.readline().strip()):
        raise SettingsError(["no token was given: type it, or pass it on standard input"])
    return token


def _with_token(settings: Settings, platform: str, token: str) -> Settings:
    chosen = getattr(settings, platform)
    return settings.model_copy(update={platform: chosen.model_copy(update={"token": SecretStr(token)})})


def _is_right(settings: Settings, platform: str) -> bool:
    """Print the platform's reply to the token, and return whether the token is right."""
    from bot.adapters.checking import check_platform
    from bot.core.diagnosis import Level

    async def checked() -> bool:
        right = True
        async for found in check_platform(settings, platform, online=True):
            right = right and found.level is not Level.ERROR
            tell = say if found.level is Level.OK else complain
            tell(f"{found.subject}: {found.text}")
        return right

    return asyncio.run(checked())
