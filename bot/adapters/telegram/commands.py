"""The commands, for everybody and for operators; each returns the text of its reply.

Operators are named in the settings by their user ids. For other people the commands of operators don't exist.
"""

from collections.abc import Awaitable, Callable, Mapping

import structlog
from telegram import Bot, Document
from telegram.error import BadRequest

from bot.adapters.backend import Backend
from bot.adapters.privacy import memory_text, privacy_text
from bot.adapters.telegram.addressing import PLATFORM, Caller, address_of
from bot.adapters.telegram.progress import ProgressDisplay
from bot.adapters.telegram.tasks import COMMANDS, TaskCommands, chat_and_word
from bot.adapters.texts import MOST_GAPS, NO_GAPS, OUR_FAULT, POLICIES, erased_text, file_line
from bot.core.errors import BotError, DocumentError
from bot.core.rights import Role, may
from bot.core.settings import Settings
from bot.core.text import counted, safe

_log = structlog.stdlib.get_logger(__name__)
_HELP = """\
I answer questions from documents, in their own words, and show where they stand. When the documents don't answer, I say so.

In a private chat, just write your question. In a group, mention me, reply to one of my messages, or use /ask. If you \
correct your question, I correct my answer. A question that follows refers to the one before; /new begins anew.

/ask and your question: ask, in a group
/new: forget what we were talking about
/stop: stop the question that I am working on
/summarise and a document, or in reply to a message: what it says, in short
/translate in reply to a message: translate it
/task in reply to a message: its mood, class or names
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
/tasks, a chat's id and on, off or default: whether /summarise and the like may be used there
/policy, a chat's id and mention, always, forum, off or default: when to answer there; in a group itself without the id"""
_PRIVACY = """\
I see what is written to me in private, and in groups what is addressed to me, unless the group's owner lets me see more. \
A question is kept until it is answered{kept}. {memory} {disclosure}

/forget me erases your questions, the answers to them, our conversation and your ratings, at once.

Telegram calls you {author}, and this chat {chat}; that is how I keep apart what belongs to whom."""
_FORGET = "To erase what is kept of what you have asked, send /forget me"
_POLICY_USE = f"Give the chat's id and one of {', '.join(POLICIES)}: /policy -1001234 always"


Handler = Callable[[Caller, str], Awaitable[str]]
"""Takes the caller and the text behind the command, returns the reply. Raises BotError."""


class Commands:
    """Finds and carries out commands."""

    def __init__(
        self,
        backend: Backend,
        display: ProgressDisplay,
        operators: frozenset[str],
        describe: Callable[[], str],
    ) -> None:
        """`operators`: the ids of the users who may administer the bot. `describe` returns the state of the connection in one
        line."""
        self._backend = backend
        self._display = display
        self._operators = operators
        self._describe = describe
        self._tasks = TaskCommands(backend)
        self._handlers: Mapping[str, Handler] = {
            "start": self._help,
            "help": self._help,
            "privacy": self._privacy,
            "new": self._new,
            "stop": self._stop,
            "forget": self._forget,
            "policy": self._policy,
            "status": self._status,
            "documents": self._documents,
            "reload": self._reload,
            "remove": self._remove,
            "policies": self._policies,
            "gaps": self._gaps,
            "explain": self._explain,
            **self._tasks.handlers,
        }

    def handler(self, name: str, caller: Caller) -> Handler | None:
        """Return the handler of a command; None if the command doesn't exist for this caller."""
        return self._handlers.get(name) if self.may(name, caller) else None

    def may(self, action: str, caller: Caller, *, forwarded: bool = False) -> bool:
        """Whether the caller may do something, by a forwarded message or by one of their own."""
        roles = {Role.PERSON, Role.ASKER} | ({Role.OPERATOR} if caller.author in self._operators else set())
        return may(action, roles, private=caller.private, forwarded=forwarded)

    @staticmethod
    def takes_long(name: str) -> bool:
        """Whether a command reads documents, runs a model or waits for answers, and so runs in the background."""
        return name in ("reload", "remove", "forget", "gaps", "explain", *COMMANDS)

    # --- for everybody

    async def _help(self, caller: Caller, _: str) -> str:
        return _HELP + ("\n" + _OPERATOR_HELP if self.may("status", caller) else "")

    async def _privacy(self, caller: Caller, _: str) -> str:
        return _privacy(self._backend.settings, caller)

    async def _new(self, caller: Caller, _: str) -> str:
        await self._backend.journal.conversations.forget(caller.conversation)
        return "Let's begin anew: what we were talking about is forgotten."

    async def _stop(self, caller: Caller, _: str) -> str:
        if self._tasks.stop(caller):
            return ""  # the task says that it was stopped
        return "" if await self._stop_question(caller.conversation) else "There is nothing to stop."

    async def _stop_question(self, conversation: str) -> bool:
        """Stop the question of a conversation that is in work; those behind it stay. Returns False if none is."""
        for pending in await self._backend.journal.questions.pending():
            question = pending.question
            asking_conversation = question.address.details.get("asked_in", question.conversation)
            if asking_conversation == conversation and await self._backend.admission.stop(question.address):
                return True
        return False

    async def _forget(self, caller: Caller, rest: str) -> str:
        if rest.lower() != "me":
            return _FORGET
        forgotten = await self._backend.admission.forget(PLATFORM, caller.author)
        await self._display.end_all(caller.author)
        return f"{erased_text(forgotten)} What stands in this chat you can delete yourself."

    # --- for operators

    async def _status(self, _caller: Caller, _: str) -> str:
        status = await self._backend.administration.status()
        return "\n".join((*status.lines(), self._describe()))

    async def _documents(self, _caller: Caller, _: str) -> str:
        documents = await self._backend.administration.documents()
        return "\n".join(map(file_line, documents)) or "There are no documents yet. Send me one as a file."

    async def _reload(self, _caller: Caller, _: str) -> str:
        report = await self._backend.administration.reload()
        remarked = (file for file in report.files if file.problem or file.warnings)
        return "\n".join((report.summary, *map(file_line, remarked)))

    async def _remove(self, _caller: Caller, path: str) -> str:
        if not path:
            return "Give the path of the document, as /documents shows it: /remove guides/setup.md"
        await self._backend.administration.remove_document(path)
        return f"{safe(path)} is removed; it will not be quoted any more."

    async def _gaps(self, _caller: Caller, _: str) -> str:
        gaps = (await self._backend.administration.gaps())[:MOST_GAPS]
        return "\n".join(safe(str(gap)) for gap in gaps) or NO_GAPS

    async def _explain(self, caller: Caller, question: str) -> str:
        if not question:
            return "Give the question: /explain How do I add a document?"
        explanation = await self._backend.administration.explain(question, address_of(caller))
        return "\n\n".join(map(safe, explanation.lines()))

    async def _policies(self, _caller: Caller, _: str) -> str:
        policies = await self._backend.journal.platforms.policies(PLATFORM)
        lines = [f"{chat}: {policy}" for chat, policy in policies.items()]
        return "\n".join(lines) or f"No chat has a policy of its own. {_POLICY_USE}"

    async def _policy(self, caller: Caller, rest: str) -> str:
        chat, wanted = chat_and_word(caller, rest)
        if wanted not in POLICIES:
            return _POLICY_USE
        await self._backend.journal.platforms.set_policy(PLATFORM, chat, POLICIES[wanted])
        return f"In the chat {chat} the policy is from now on: {wanted}."

    async def add_document(self, bot: Bot, document: Document, caption: str) -> str:
        """Put a file that an operator has sent into the knowledge folder. Raises BotError."""
        path = caption.strip() or document.file_name or ""
        await self._backend.administration.require_addable(path, document.file_size or 0)
        try:
            file = await bot.get_file(document.file_id)
        except BadRequest as error:
            raise DocumentError(f"{path}: Telegram doesn't hand it out: {error.message}") from error
        content = bytes(await file.download_as_bytearray())
        return file_line(await self._backend.administration.add_document(path, content))


def _privacy(settings: Settings, caller: Caller) -> str:
    """Return the text of /privacy."""
    days = settings.storage.answer_days
    kept = f", and with its answer for {counted(days, 'day')} more, so that the buttons work and you can correct it"
    return _PRIVACY.format(
        kept=kept if days else ", and then erased",
        memory=memory_text(settings),
        disclosure=privacy_text(settings),
        author=caller.author,
        chat=caller.chat,
    )


async def carried_out(work: Awaitable[str]) -> str:
    """Return the text of `work`, or after an error a text about it for people."""
    try:
        return await work
    except BotError as error:
        return safe(str(error))
    except Exception:
        _log.exception("a command failed")
        return OUR_FAULT
