"""Files and passages as rows of the index: writing them, removing them, reading them."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.markup import Markup
from bot.storage.base import FileReport, FileState, IndexedFile, StoredPassage

_SELECT = (
    "SELECT path, documents.title, url, position, passages.heading, blocks, body FROM passages "
    "JOIN documents ON documents.id = document JOIN words ON words.rowid = passages.id "
)

# --- writing ----------------------------------------------------------------------------------------------------------


def remove_files(db: sqlite3.Connection, paths: Iterable[str]) -> None:
    """Remove files with their passages."""
    for path in paths:
        db.execute(
            "DELETE FROM words WHERE rowid IN "
            "(SELECT passages.id FROM passages JOIN documents ON documents.id = document WHERE path = ?)",
            (path,),
        )
        db.execute("DELETE FROM documents WHERE path = ?", (path,))


def insert_file(db: sqlite3.Connection, file: IndexedFile) -> None:
    """Insert a file with its passages."""
    state, document = file.state, file.document
    described = (document.title, document.url, document.language) if document else (None, None, None)
    warnings = json.dumps(document.warnings if document else ())
    cursor = db.execute(
        "INSERT INTO documents (path, size, modified_ns, content_hash, recipe, title, url, language, problem, warnings) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            state.path,
            state.size,
            state.modified_ns,
            state.content_hash,
            state.recipe,
            *described,
            file.problem,
            warnings,
        ),
    )
    document_id = cursor.lastrowid
    for position, (passage, key) in enumerate(zip(file.passages, file.vector_keys, strict=True)):
        blocks = json.dumps([_block_to_json(block) for block in passage.blocks], ensure_ascii=False)
        passage_id = db.execute(
            "INSERT INTO passages (document, position, heading, blocks, vector_key) VALUES (?, ?, ?, ?, ?)",
            (document_id, position, json.dumps(passage.heading, ensure_ascii=False), blocks, key),
        ).lastrowid
        db.execute(
            "INSERT INTO words (rowid, title, heading, body) VALUES (?, ?, ?, ?)",
            (passage_id, described[0], " ".join(passage.heading), passage.body),
        )


def _block_to_json(block: Block) -> list[Any]:
    at = block.locator
    place = [at.lines, at.page, at.row, block.part, at.paragraph]
    return [block.form, block.text, block.heading, block.context, *place, block.markup]


# --- reading ----------------------------------------------------------------------------------------------------------


def read_files(db: sqlite3.Connection) -> list[tuple[FileState, FileReport]]:
    """Return every file with its report, by path."""
    rows = db.execute(
        "SELECT path, size, modified_ns, content_hash, recipe, problem, warnings, "
        "(SELECT count(*) FROM passages WHERE document = documents.id) FROM documents ORDER BY path"
    )
    return [
        (FileState(path, size, modified, digest, recipe), FileReport(path, count, problem, tuple(_parsed(warnings))))
        for path, size, modified, digest, recipe, problem, warnings, count in rows
    ]


def read_all(db: sqlite3.Connection) -> list[StoredPassage]:
    """Return every passage, in the order of documents and places."""
    rows = db.execute(
        "SELECT path, documents.title, language, passages.heading, blocks, body FROM passages "
        "JOIN documents ON documents.id = document JOIN words ON words.rowid = passages.id ORDER BY path, position"
    )
    return [StoredPassage(path, title, language, _passage(columns)) for path, title, language, *columns in rows]


def read_run(db: sqlite3.Connection, document: str, first: int, last: int) -> list[Passage]:
    """Return the passages of a document at the places `first` to `last`, both included, in order."""
    statement = f"{_SELECT} WHERE path = ? AND position BETWEEN ? AND ? ORDER BY position"
    return [_passage(row[4:]) for row in db.execute(statement, (document, first, last))]


def read_passage(db: sqlite3.Connection, passage_id: int) -> FoundPassage:
    """Return the passage with this id, which must be in the index."""
    row = db.execute(f"{_SELECT} WHERE passages.id = ?", (passage_id,)).fetchone()
    path, title, url, position, *columns = row
    return FoundPassage(path, title, url, (position, position), _passage(columns))


def _passage(columns: Sequence[str]) -> Passage:
    heading, blocks, body = columns
    return Passage(tuple(map(_block_from_json, _parsed(blocks))), tuple(_parsed(heading)), body)


def _parsed(text: object) -> Any:
    """Return the value of a JSON text. Raises TypeError for bytes, which damage has made of it, and ValueError."""
    if not isinstance(text, str):
        raise TypeError("no text")
    return json.loads(text)


def _block_from_json(data: list[Any]) -> Block:
    # An index of before has no number of the paragraph, or no markup.
    form, text, heading, context, lines, page, row, part, paragraph, markup = [*data, None, Markup.MARKDOWN][:10]
    locator = Locator(tuple(lines) if lines else None, page, row, paragraph)
    return Block(Form(form), text, tuple(heading), locator, context, tuple(part), Markup(markup))
