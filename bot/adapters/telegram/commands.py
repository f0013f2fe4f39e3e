"""What commands do, for everybody and for operators; each returns what to say. Who is an operator stands in the
settings, by user id: nobody else's command is even answered as one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import structlog
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    Document,
)
from telegram.error import BadRequest, Forbidden

from bot.adapters.layout import safe
from bot.core.errors import BotError, DocumentError
from bot.core.messages import Policy
from bot.questions.administration import Administration
from bot.storage.base import Forgotten

_log = structlog.stdlib.get_logger(__name__)
PLATFORM = "telegram"
_HELP = """\
I answer questions from documents, in their own words, and show where they stand. When the documents don't answer, I say so.

In a private chat, just write your question. In a group, mention me, reply to one of my messages, or use /ask. If you \
correct your question, I correct my answer. A question that follows refers to the one before; /new begins anew.

/ask and your question: ask, in a group
/new: forget what we were talking about
/stop: stop the question that I am working on
/privacy: what is kept of what you write
/forget me: erase what is kept of what you have asked"""
_OPERATOR_HELP = """
For you as operator, in our private chat:
/status: how the bot is
/reload: read the documents anew
/documents: the documents, with what is wrong with them
Send a file to add it to the documents; its caption may name the path.
/remove and a path: delete a document
/gaps: what was asked and the documents don't answer
/explain and a question: why it is answered as it is, or why not
/policies: the chats with a policy of their own
/policy, a chat's id and mention, always, forum, off or default: when to answer there; in a group itself without the id"""
_PRIVACY = """\
I see what is written to me in private, and in groups what is addressed to me, unless the group's owner lets me see more. \
A question is kept until it is answered{kept}. What we were talking about is forgotten {expiry} minutes after your last \
question. Nothing is passed on to anybody, and nothing is used for training.

/forget me erases your questions, the answers to them, our conversation and your ratings, at once.

Telegram calls you {author}, and this chat {chat}; that is how I keep apart what belongs to whom."""
_MOST_GAPS = 20
_FORGET = "To erase what is kept of what you have asked, send /forget me"
_POLICIES: Mapping[str, Policy | None] = {**{policy.value: policy for policy in Policy}, "default": None}
_POLICY_USE = f"Give the chat's id and one of {', '.join(_POLICIES)}: /policy -1001234 always"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, and where. `conversation` is what `/new` forgets."""

    author: str
    chat: int
    private: bool
    conversation: str


Handler = Callable[[Caller, str], Awaitable[str]]


class Commands:
    def __init__(
        self,
        administration: Administration,
        *,
        operators: frozenset[str],
        forget_conversation: Callable[[str], Awaitable[None]],
        stop: Callable[[str], Awaitable[bool]],
        forget: Callable[[str], Awaitable[Forgotten]],
        health: Callable[[], str],
    ) -> None:
        """`stop` stops the last question of a conversation; `forget` erases what is kept of an author; `health` says how
        the connection is."""
        self._administration = administration
        self._operators = operators
        self._forget_conversation = forget_conversation
        self._stop = stop
        self._forget_author = forget
        self._health = health
        self._for_all: Mapping[str, Handler] = {
            "start": self._help,
            "help": self._help,
            "privacy": self._privacy,
            "new": self._new,
            "stop": self._stopped,
            "forget": self._forget,
        }
        self._for_operators: Mapping[str, Handler] = {
            "status": self._status,
            "documents": self._documents,
            "reload": self._reload,
            "remove": self._remove,
            "policies": self._policies,
            "gaps": self._gaps,
            "explain": self._explain,
        }

    def handler(self, name: str, caller: Caller) -> Handler | None:
        """What carries out a command for this caller; None where there is no such command for them."""
        if self.is_operator(caller) and (caller.private or name == "policy"):
            if name == "policy":
                return self._policy
            if name in self._for_operators:
                return self._for_operators[name]
        return self._for_all.get(name)

    @staticmethod
    def takes_long(name: str) -> bool:
        """Whether a command reads documents, runs a model or waits for answers: no other message should wait for that."""
        return name in ("reload", "remove", "forget", "gaps", "explain")

    def is_operator(self, caller: Caller) -> bool:
        return caller.author in self._operators

    # --- for everybody

    async def _help(self, caller: Caller, _: str) -> str:
        return _HELP + ("\n" + _OPERATOR_HELP if caller.private and self.is_operator(caller) else "")

    async def _privacy(self, caller: Caller, _: str) -> str:
        settings = self._administration.settings
        days = settings.storage.answer_days
        kept = f", and with its answer for {days:g} days more, so that the buttons work and you can correct it"
        return _PRIVACY.format(
            kept=kept if days else ", and then erased",
            expiry=round(settings.conversation.expire_seconds / 60),
            author=caller.author,
            chat=caller.chat,
        )

    async def _new(self, caller: Caller, _: str) -> str:
        await self._forget_conversation(caller.conversation)
        return "Let's begin anew: what we were talking about is forgotten."

    async def _stopped(self, caller: Caller, _: str) -> str:
        return "" if await self._stop(caller.conversation) else "There is nothing to stop."

    async def _forget(self, caller: Caller, rest: str) -> str:
        if rest.lower() != "me":
            return _FORGET
        erased = await self._forget_author(caller.author)
        return (
            f"Erased: {erased.questions} questions with their answers, {erased.turns} turns of conversation, "
            f"{erased.feedback} ratings. What stands in this chat you can delete yourself."
        )

    # --- for operators

    async def _status(self, _caller: Caller, _: str) -> str:
        status = await self._administration.status()
        return "\n".join((*status.lines(), self._health()))

    async def _documents(self, _caller: Caller, _: str) -> str:
        documents = await self._administration.documents()
        lines = (
            f"{safe(file.path)}: "
            + safe("; ".join(filter(None, (file.problem or f"{file.passages} passages", *file.warnings))))
            for file in documents
        )
        return "\n".join(lines) or "There are no documents yet. Send me one as a file."

    async def _reload(self, _caller: Caller, _: str) -> str:
        reload = await self._administration.reload()
        report = reload.report
        remarks = [
            f"{safe(file.path)}: {safe('; '.join(filter(None, (file.problem, *file.warnings))))}"
            for file in report.files
            if file.problem or file.warnings
        ]
        return "\n".join((reload.summary, *remarks))

    async def _remove(self, _caller: Caller, path: str) -> str:
        if not path:
            return "Give the path of the document, as /documents shows it: /remove guides/setup.md"
        await self._administration.remove_document(path)
        return f"{safe(path)} is removed; it will not be quoted any more."

    async def _gaps(self, _caller: Caller, _: str) -> str:
        gaps = (await self._administration.gaps())[:_MOST_GAPS]
        return "\n".join(safe(str(gap)) for gap in gaps) or "Nothing was declined."

    async def _explain(self, _caller: Caller, question: str) -> str:
        if not question:
            return "Give the question: /explain How do I add a document?"
        explanation = await self._administration.explain(question)
        return "\n\n".join(map(safe, explanation.lines()))

    async def _policies(self, _caller: Caller, _: str) -> str:
        policies = await self._administration.policies(PLATFORM)
        lines = [f"{chat}: {policy}" for chat, policy in policies.items()]
        return "\n".join(lines) or f"No chat has a policy of its own. {_POLICY_USE}"

    async def _policy(self, caller: Caller, rest: str) -> str:
        words = rest.lower().split()
        if not caller.private and len(words) == 1:
            words = [str(caller.chat), *words]
        if len(words) != 2 or words[1] not in _POLICIES or not words[0].lstrip("-").isdecimal():
            return _POLICY_USE
        chat, wanted = words
        await self._administration.set_policy(PLATFORM, chat, _POLICIES[wanted])
        return f"In the chat {chat} the policy is from now on: {wanted}."

    async def add_document(self, bot: Bot, document: Document, caption: str) -> str:
        """Put a file that an operator has sent into the knowledge folder."""
        path = caption.strip() or document.file_name or ""
        limit = self._administration.settings.administration.document_bytes
        if (document.file_size or 0) > limit:
            raise DocumentError(f"{path}: larger than {limit} bytes (administration.document_bytes)")
        try:
            file = await bot.get_file(document.file_id)
        except BadRequest as error:
            raise DocumentError(f"{path}: Telegram doesn't hand it out: {error.message}") from error
        content = bytes(await file.download_as_bytearray())
        report = await self._administration.add_document(path, content)
        remarks = f" Remarks: {'; '.join(report.warnings)}" if report.warnings else ""
        return f"{safe(PurePosixPath(report.path).as_posix())}: {report.passages} passages.{safe(remarks)}"


async def carried_out(work: Awaitable[str]) -> str:
    """What a command says, or what was wrong, in words that may be shown."""
    try:
        return await work
    except BotError as error:
        return safe(str(error))
    except Exception:
        _log.exception("a command failed")
        return "Something went wrong on our side; the log says what."


# --- the menus of the apps --------------------------------------------------------------------------------------------

_MENU = {
    "": {
        "ask": "Ask a question",
        "new": "Begin a new conversation",
        "stop": "Stop the question in work",
        "help": "What I can do",
        "privacy": "What is kept of what you write",
        "forget": "Erase what you have asked: /forget me",
    },
    "de": {
        "ask": "Eine Frage stellen",
        "new": "Ein neues Gespräch beginnen",
        "stop": "Die laufende Frage abbrechen",
        "help": "Was ich kann",
        "privacy": "Was von Ihren Nachrichten aufbewahrt wird",
        "forget": "Ihre Fragen löschen: /forget me",
    },
    "es": {
        "ask": "Hacer una pregunta",
        "new": "Empezar una conversación nueva",
        "stop": "Detener la pregunta en curso",
        "help": "Qué puedo hacer",
        "privacy": "Qué se guarda de lo que escribes",
        "forget": "Borrar lo que has preguntado: /forget me",
    },
    "fr": {
        "ask": "Poser une question",
        "new": "Commencer une nouvelle conversation",
        "stop": "Arrêter la question en cours",
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
}


def menus(operators: frozenset[str]) -> list[tuple[BotCommandScope, str, list[BotCommand]]]:
    """(scope, language, commands) of every menu; language "" is for all that have none of their own."""
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


def menus_hash(operators: frozenset[str]) -> str:
    """Changes when a menu does."""
    described = [
        (scope.to_json(), language, [command.to_json() for command in menu])
        for scope, language, menu in menus(operators)
    ]
    return sha256(repr(described).encode()).hexdigest()


async def publish_menus(bot: Bot, operators: frozenset[str]) -> bool:
    """Tell the apps which commands there are. False: an operator has not written to the bot yet, so ask again later."""
    complete = True
    for scope, language, commands in menus(operators):
        try:
            await bot.set_my_commands(commands, scope, language or None)
        except (BadRequest, Forbidden):
            complete = False
    return complete
