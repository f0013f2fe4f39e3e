"""Entries: questions with answers that operators write where the documents have none. They wait until they are published, and
then are lines of a document in the knowledge folder."""

import asyncio
import json

from bot.core.errors import DocumentError
from bot.questions.administration import Administration
from bot.storage.base import Entry, FileReport

ENTRIES_FILE = "entries.jsonl"
"""The document that published entries stand in, at the top of the knowledge folder."""
_LONGEST = 20_000  # characters of a question or an answer


class Entries:
    """Writes, changes and publishes entries, which the journal's store lists and removes.

    There is one for the process; entries are published one after the other.
    """

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._store = administration.journal.entries
        self._publishing = asyncio.Lock()

    async def one(self, entry: int) -> Entry:
        """Return the entry with this id. Raises DocumentError."""
        if found := await self._store.one(entry):
            return found
        raise DocumentError("There is no such entry any more: it was published or discarded.")

    async def write(self, question: str, answer: str, entry: int | None = None) -> int:
        """Keep a new entry, or new texts of a known one. Returns its id. Raises DocumentError."""
        question, answer = _checked(question, answer)
        if entry is None:
            return await self._store.add(question, answer)
        if not await self._store.change(entry, question, answer):
            raise DocumentError("This entry was published or discarded meanwhile: write it as a new one.")
        return entry

    async def publish(self, entry: int) -> FileReport:
        """Put the entry into the document of entries, so that the bot answers from it at once.

        Raises DocumentError, and keeps the entry, where the document can't be written or golden questions get worse by it.
        """
        async with self._publishing:
            wanted = await self.one(entry)
            line = json.dumps({"question": wanted.question, "answer": wanted.answer}, ensure_ascii=False)
            lines = await asyncio.to_thread(self._lines)
            if line not in lines:  # as after a crash in the middle of this
                lines.append(line)
            report = await self._administration.add_document(
                ENTRIES_FILE, "".join(f"{one}\n" for one in lines).encode()
            )
            await self._store.remove(entry)
            return report

    def _lines(self) -> list[str]:
        """Return the lines of the document, none if it isn't there. Raises DocumentError."""
        file = self._administration.settings.knowledge.folder / ENTRIES_FILE
        try:
            return [line for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentError(f"{ENTRIES_FILE} can't be read ({error}); mend it, or move it away") from error


def _checked(question: str, answer: str) -> tuple[str, str]:
    question, answer = (text.replace("\r\n", "\n").strip() for text in (question, answer))
    if not question or not answer:
        raise DocumentError("An entry needs a question and an answer.")
    if max(len(question), len(answer)) > _LONGEST:
        raise DocumentError(f"A question or an answer may have up to {_LONGEST} characters; write a document instead.")
    return question, answer
