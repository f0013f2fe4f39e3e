"""The menus of commands that Telegram's apps show, by kind of chat and by language."""

from hashlib import sha256

import structlog
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
)
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.adapters.telegram.addressing import PLATFORM
from bot.core.errors import StorageError
from bot.storage.base import PlatformStore

_log = structlog.stdlib.get_logger(__name__)
_MENU = {
    "": {
        "ask": "Ask a question",
        "new": "Begin a new conversation",
        "stop": "Stop the question in work",
        "summarise": "Say briefly what a message or a document says",
        "translate": "Translate a message",
        "task": "Mood, class or names of a message",
        "help": "What I can do",
        "privacy": "What is kept of what you write",
        "forget": "Erase what you have asked: /forget me",
    },
    "de": {
        "ask": "Eine Frage stellen",
        "new": "Ein neues Gespräch beginnen",
        "stop": "Die laufende Frage abbrechen",
        "summarise": "Kurz sagen, was in einer Nachricht oder einem Dokument steht",
        "translate": "Eine Nachricht übersetzen",
        "task": "Stimmung, Klasse oder Namen einer Nachricht",
        "help": "Was ich kann",
        "privacy": "Was von Ihren Nachrichten aufbewahrt wird",
        "forget": "Ihre Fragen löschen: /forget me",
    },
    "es": {
        "ask": "Hacer una pregunta",
        "new": "Empezar una conversación nueva",
        "stop": "Detener la pregunta en curso",
        "summarise": "Resumir un mensaje o un documento",
        "translate": "Traducir un mensaje",
        "task": "Ánimo, clase o nombres de un mensaje",
        "help": "Qué puedo hacer",
        "privacy": "Qué se guarda de lo que escribes",
        "forget": "Borrar lo que has preguntado: /forget me",
    },
    "fr": {
        "ask": "Poser une question",
        "new": "Commencer une nouvelle conversation",
        "stop": "Arrêter la question en cours",
        "summarise": "Résumer un message ou un document",
        "translate": "Traduire un message",
        "task": "Humeur, classe ou noms d'un message",
        "help": "Ce que je sais faire",
        "privacy": "Ce qui est conservé de vos messages",
        "forget": "Effacer vos questions : /forget me",
    },
}
_OPERATOR_MENU = {
    "status": "How the bot is",
    "reload": "Read the documents anew",
    "documents": "The documents and their problems",
    "remove": "Delete a document",
    "gaps": "What the documents don't answer",
    "explain": "Why a question is answered as it is",
    "policies": "Chats with a policy of their own",
    "policy": "When to answer in a chat",
    "tasks": "Whether tasks may be used in a chat",
}


async def publish_menus_if_changed(bot: Bot, store: PlatformStore, operators: frozenset[str]) -> None:
    """Set the menus, if they differ from those set last. A failure is logged; the next start tries again."""
    key = f"{bot.id}:{_menus_hash(operators)}"  # another bot has menus of its own
    try:
        if await store.note(PLATFORM, "menus") != key and await _publish(bot, operators):
            await store.set_note(PLATFORM, "menus", key)
    except (TelegramError, StorageError) as error:
        _log.warning("the menus of commands are not up to date", error=type(error).__name__)


def menus(operators: frozenset[str]) -> list[tuple[BotCommandScope, str, list[BotCommand]]]:
    """Return (scope, language, commands) of every menu; "" stands for the languages without a menu of their own."""
    found: list[tuple[BotCommandScope, str, list[BotCommand]]] = []
    for language, described in _MENU.items():
        for scope, left_out in ((BotCommandScopeAllPrivateChats(), "ask"), (BotCommandScopeAllGroupChats(), "")):
            commands = [BotCommand(name, text) for name, text in described.items() if name != left_out]
            found.append((scope, language, commands))
    everything = {**{name: text for name, text in _MENU[""].items() if name != "ask"}, **_OPERATOR_MENU}
    for operator in sorted(operators):
        commands = [BotCommand(name, text) for name, text in everything.items()]
        found.append((BotCommandScopeChat(int(operator)), "", commands))
    return found


def _menus_hash(operators: frozenset[str]) -> str:
    """Return a hash of the menus."""
    described = [
        (scope.to_json(), language, [command.to_json() for command in menu])
        for scope, language, menu in menus(operators)
    ]
    return sha256(repr(described).encode()).hexdigest()


async def _publish(bot: Bot, operators: frozenset[str]) -> bool:
    """Set the menus. Returns False if one was refused, because an operator has not written to the bot yet."""
    complete = True
    for scope, language, commands in menus(operators):
        try:
            await bot.set_my_commands(commands, scope, language or None)
        except (BadRequest, Forbidden):
            complete = False
    return complete
