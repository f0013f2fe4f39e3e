"""Commands for operating the bot: status, health, policies, erasure, diagnosis, measurements and backups."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands.common import (
    ConfigOption,
    ExitCode,
    JsonOption,
    console,
    print_json,
    progress_bar,
    say,
    settings_of,
    with_application,
)
from bot.core.platforms import AskedOn, Platform
from bot.core.settings import load_settings
from bot.core.text import counted

if TYPE_CHECKING:
    from bot.core.diagnosis import Diagnosis
    from bot.runtime.application import Application

PlatformArgument = Annotated[Platform, typer.Argument(help="discord or telegram.")]
AskedOnArgument = Annotated[AskedOn, typer.Argument(help="discord, telegram, http or terminal.")]


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the documents, the questions that wait, and the ratings of answers."""

    async def show(application: "Application") -> None:
        from bot.runtime.application import administration_of

        status = await administration_of(application).status()
        if as_json:
            print_json(asdict(status))
        else:
            console().print("\n".join(status.lines()), soft_wrap=True)

    with_application(settings_of(config), show, fresh=False)


def health(
    ready: Annotated[
        bool, typer.Option("--ready", help="Fail unless every component does its work, not only where no bot runs.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask the bot that runs on this machine how its components are."""
    from bot.runtime.probe import ask_ready

    settings = load_settings(config)
    answer = ask_ready(settings.http)
    if as_json:
        print_json(answer.body)
    else:
        say("\n".join(answer.lines()))
    if ready and not answer.ready:
        raise typer.Exit(ExitCode.FAILURE)


def policy(
    platform: PlatformArgument,
    chat: Annotated[str, typer.Argument(help="The id of the chat. Left out: show all policies.")] = "",
    policy: Annotated[str, typer.Argument(help="mention, always, forum, off, or default.")] = "",
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Whether tasks may be used there instead: on, off, or default.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show when the bot answers in a chat, or set it for one chat."""
    from bot.core.messages import Policy

    if tasks:
        _policy_of_tasks(platform, chat, policy, config)
        return
    wanted = None
    if policy not in ("", "default"):
        try:
            wanted = Policy(policy)
        except ValueError as error:
            raise typer.BadParameter(f"{policy}: mention, always, forum, off, or default") from error

    async def change(application: "Application") -> None:
        policies = application.stores.journal.platforms
        if policy:
            await policies.set_policy(platform, chat, wanted)
        for known, kept in (await policies.policies(platform)).items():
            if known == chat or not chat:
                say(f"{known}: {kept}")

    with_application(settings_of(config), change, fresh=False)


def _policy_of_tasks(platform: str, chat: str, state: str, config: Path | None) -> None:
    from bot.tasks.policy import STATES, TaskPolicy

    if state not in ("", *STATES):
        raise typer.BadParameter(f"{state}: {', '.join(STATES)}")
    settings = settings_of(config)

    async def change(application: "Application") -> None:
        policy = TaskPolicy(application.stores.journal.platforms, allowed=settings.tasks.allowed)
        if state:
            await policy.set(platform, chat, state)
        for known, kept in (await policy.states(platform)).items():
            if known == chat or not chat:
                say(f"{known}: {kept}")

    with_application(settings, change, fresh=False)


def forget(
    platform: AskedOnArgument,
    author: Annotated[str, typer.Argument(help="The platform's id of the user; for http, the user that was named.")],
    config: ConfigOption = None,
) -> None:
    """Erase everything of one person: questions, answers, conversation turns and feedback."""

    async def erase(application: "Application") -> None:
        from bot.runtime.application import administration_of
        from bot.storage.data_folder import earlier_copies

        forgotten = await administration_of(application).forget(platform, author)
        say(
            f"Erased: {counted(forgotten.questions, 'question')}, {counted(forgotten.turns, 'conversation turn')}, "
            f"{counted(forgotten.feedback, 'piece of feedback', 'pieces of feedback')}."
        )
        folder = application.settings.storage.folder
        copies = ", ".join(map(str, earlier_copies(folder)))
        say(
            "Copies that were made earlier still hold it: archives of `backup`, wherever you keep them"
            + (f", and {copies}" if copies else "")
            + ". Delete them, or forget this person again after you have restored one."
        )

    with_application(settings_of(config), erase, fresh=False)


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the platforms.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Look for everything that can be wrong, and say what to do about it."""
    from rich.text import Text

    from bot.adapters.checking import check_platforms
    from bot.core.diagnosis import Severity
    from bot.runtime.doctor import examine

    settings = settings_of(config)

    async def run() -> "list[Diagnosis]":
        found = []
        with progress_bar("Trying the threshold") as show:
            platforms = check_platforms(settings, online=not offline)
            async for one in examine(settings, platforms, progress=show):
                found.append(one)
                if not as_json:
                    colour = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}[one.level]
                    line = Text.assemble((f"{one.level:7}", colour), f"  {one.subject}: {one.text}")
                    console().print(line, soft_wrap=True)
        return found

    found = asyncio.run(run())
    if as_json:
        print_json([asdict(one) for one in found])
    if any(one.level is Severity.ERROR for one in found):
        raise typer.Exit(ExitCode.FAILURE)


def bench(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Measure the speed of this machine with the models of the settings, and recommend settings."""

    async def run(application: "Application") -> None:
        from bot.runtime.bench import measure, recommended

        with progress_bar("Measuring") as show:
            figures = await measure(application, show)
        advice = recommended(figures, application.settings)
        if as_json:
            print_json(asdict(figures) | {"recommended": advice})
            return
        settings = (f"  {line}" for line in advice) if advice else ["  nothing: the settings suit this machine"]
        say("\n".join([*figures.lines(), "recommended settings:", *settings]))

    with_application(settings_of(config), run)


def backup(
    archive: Annotated[Path, typer.Argument(help="The file to write, such as bot.tar.gz.", dir_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Write the data folder into one archive, also while the bot runs."""
    from bot.storage.data_folder import back_up

    say(f"{archive}: {', '.join(back_up(settings_of(config).storage.folder, archive))}")


def restore(
    archive: Annotated[Path, typer.Argument(help="A file that `backup` has written.", dir_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Put the data folder back as it was when a backup was made. The bot must be stopped."""
    from bot.storage.data_folder import restore as put_back

    folder = settings_of(config).storage.folder
    before = put_back(archive, folder)
    say(f"{folder}: restored." + (f" What stood there before is in {before}." if before else ""))
