"""Who may do what: every action of the table for every kind of person, as the adapters themselves decide it."""

from types import SimpleNamespace
from typing import Any

import pytest
from telegram import Message

from bot.adapters.discord.interactions import Interactions
from bot.adapters.telegram.addressing import author_of, caller_of
from bot.adapters.telegram.commands import Commands
from bot.core.rights import RIGHTS, Role, may
from bot.core.settings import Settings

OPERATOR, STRANGER, ANONYMOUS, CHANNEL = 1, 2, 1087968824, 136817688
EVERYBODY = {"ask", "help", "start", "privacy", "new", "forget", "summarise", "translate", "task"}
OF_PLACES = {"policy", "tasks"}
OF_READERS = {"rate", "source", "more", "share"}
OF_OPERATORS = {
    *("policies", "status", "documents", "reload", "add", "remove", "gaps", "explain", "feedback"),
}


def telegram_message(sender: int, chat: str, **more: Any) -> Message:
    person = {"id": sender, "is_bot": more.pop("is_bot", False), "first_name": "X"}
    message = {"message_id": 1, "date": 1_700_000_000, "text": "x", "from": person, **more}
    message["chat"] = {"id": sender if chat == "private" else -100, "type": chat}
    parsed = Message.de_json(message, None)
    assert parsed is not None
    return parsed


GROUP = {"id": -100, "type": "supergroup", "title": "the group itself"}
OTHER = {"id": -200, "type": "channel", "title": "another chat"}
FORWARDED = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Mallory", "date": 1_700_000_000}}
OWN = EVERYBODY | {"stop"}
TELEGRAM = {
    "an operator in private": (telegram_message(OPERATOR, "private"), OWN | OF_OPERATORS | OF_PLACES),
    "an operator in a group": (telegram_message(OPERATOR, "supergroup"), OWN | OF_PLACES),
    "an operator who forwards": (telegram_message(OPERATOR, "private", **FORWARDED), {"ask"}),
    "a stranger in private": (telegram_message(STRANGER, "private"), OWN),
    "a stranger in a group": (telegram_message(STRANGER, "supergroup"), OWN),
    "a stranger who forwards": (telegram_message(STRANGER, "private", **FORWARDED), {"ask"}),
    "an anonymous administrator": (telegram_message(ANONYMOUS, "supergroup", is_bot=True, sender_chat=GROUP), OWN),
    "somebody as another chat": (telegram_message(CHANNEL, "supergroup", is_bot=True, sender_chat=OTHER), OWN),
    "another bot": (telegram_message(STRANGER, "supergroup", is_bot=True), set()),
    "the service": (telegram_message(777000, "supergroup"), set()),
    "somebody by another bot": (
        telegram_message(OPERATOR, "private", via_bot={"id": 9, "is_bot": True, "first_name": "b"}),
        set(),
    ),
}


@pytest.mark.parametrize("action", sorted(RIGHTS))
@pytest.mark.parametrize("person", TELEGRAM)
def test_telegram_lets_exactly_those_do_it_who_may(person, action):
    """By the message that the service sends, and the settings."""
    message, allowed = TELEGRAM[person]
    commands = Commands(SimpleNamespace(task_service=None), None, frozenset({str(OPERATOR)}), str)
    author = author_of(message)
    forwarded = message.forward_origin is not None
    can = False
    if author is not None:
        caller = caller_of(message, author, shared_conversations=False)
        can = commands.may(action, caller, forwarded=forwarded)
        if not forwarded and commands.handler(action, caller) is not None:
            assert can
    assert can == (action in allowed)


def test_every_command_of_telegram_has_its_line_in_the_table():
    """An operator in private has all of them."""
    commands = Commands(SimpleNamespace(task_service=None), None, frozenset({str(OPERATOR)}), str)
    message = telegram_message(OPERATOR, "private")
    caller = caller_of(message, str(OPERATOR), shared_conversations=False)
    assert {name for name in commands._handlers if commands.handler(name, caller)} == set(commands._handlers)


def discord_actions(operators: list[int], *, owner: int = OPERATOR) -> Interactions:
    application = SimpleNamespace(team=None, owner=SimpleNamespace(id=owner))
    connection = SimpleNamespace(client=SimpleNamespace(application=application))
    backend = SimpleNamespace(settings=Settings(discord={"operators": operators}))
    return Interactions(backend, connection, None, None, None, None)


DISCORD = {
    "an operator": (OPERATOR, (), EVERYBODY | OF_OPERATORS | OF_PLACES),
    "a stranger": (STRANGER, (), EVERYBODY),
    "who has asked": (STRANGER, (Role.ASKER,), EVERYBODY | {"stop"}),
    "who manages": (STRANGER, (Role.MODERATOR,), EVERYBODY | {"stop", *OF_PLACES}),
    "who sees the answer": (STRANGER, (Role.READER,), EVERYBODY | OF_READERS),
    "an operator who doesn't see the answer": (OPERATOR, (), EVERYBODY | OF_OPERATORS | OF_PLACES),
}


@pytest.mark.parametrize("action", sorted(RIGHTS))
@pytest.mark.parametrize("person", DISCORD)
@pytest.mark.parametrize("operators", [[OPERATOR], []])
def test_discord_lets_exactly_those_do_it_who_may(person, action, operators):
    """Without operators in the settings the owner of the application is one."""
    user, roles, allowed = DISCORD[person]
    interaction = SimpleNamespace(user=SimpleNamespace(id=user))
    assert discord_actions(operators).may(action, interaction, *roles) == (action in allowed)


def test_whoever_has_no_role_may_nothing_and_nobody_may_what_is_in_no_line():
    """So that a new command is forbidden until somebody has decided."""
    assert not any(may(action, set(), private=True) for action in RIGHTS)
    assert not may("format_disk", set(Role), private=True)


def test_every_command_of_operators_needs_the_role_alone():
    """No other role opens one, wherever."""
    others = set(Role) - {Role.OPERATOR}
    assert not any(may(action, others, private=private) for action in OF_OPERATORS for private in (True, False))
    assert not any(may(action, {Role.OPERATOR}, private=False) for action in OF_OPERATORS)
