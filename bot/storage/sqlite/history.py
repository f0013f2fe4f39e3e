"""The history of questions in SQLite.

All filters use one covering index, so a search never reads whole rows that it doesn't return. It has a connection of its own,
as new questions wait for the journal's.
"""

import sqlite3
from collections import Counter
from datetime import UTC, datetime

from bot.core.messages import Outcome
from bot.storage.base.history import Cited, Confidence, Cursor, HistoryFilter, KeptQuestion, Rating
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.rows import answer_from, each, question_from

_RATED = "SELECT {what} FROM feedback WHERE feedback.platform = questions.platform AND feedback.reference = questions.reference"
_ROWS = (
    "SELECT id, question, answer, accepted_at, "
    f"({_RATED.format(what='count(*)')} AND helpful), ({_RATED.format(what='count(*)')} AND NOT helpful) FROM questions "
)
_BY_HISTORY = "INDEXED BY questions_history"
_DAY = 86_400  # seconds
_OUTCOMES = frozenset(Outcome)


class SqliteHistory:
    """A HistoryStore over a read-only connection to a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, only: HistoryFilter, limit: int, after: Cursor | None = None) -> list[KeptQuestion]:
        def read(db: sqlite3.Connection) -> list[KeptQuestion]:
            kept: list[KeptQuestion] = []
            rows = _page(db, only, limit, after)
            # A page with fewer would be taken for the last, so rows that can't be read are made up for.
            while rows:
                kept += each(rows, _kept)
                *_, (last, _question, _answer, at, *_ratings) = rows
                rows = _page(db, only, limit - len(kept), Cursor(at, last))
            return kept

        return await self._connection.run(read)

    async def one(self, question_id: int) -> KeptQuestion | None:
        def read(db: sqlite3.Connection) -> list[KeptQuestion]:
            rows = db.execute(f"{_ROWS} WHERE id = ? AND question IS NOT NULL", (question_id,))
            return list(each(rows, _kept))

        return next(iter(await self._connection.run(read)), None)

    async def days(self, since: float) -> list[tuple[str, Counter[Outcome]]]:
        def read(db: sqlite3.Connection) -> list[tuple[str, Counter[Outcome]]]:
            [first, last] = db.execute(
                f"SELECT min(accepted_at), max(accepted_at) FROM questions {_BY_HISTORY} "
                "WHERE question IS NOT NULL AND accepted_at >= ?",
                (since,),
            ).fetchone()
            days = range(int(first // _DAY), int(last // _DAY) + 1) if first is not None else range(0)
            return [(_date(day), _counted(db, max(since, day * _DAY), (day + 1) * _DAY)) for day in days]

        return await self._connection.run(read)

    async def confidences(self, limit: int) -> list[Confidence]:
        def read(db: sqlite3.Connection) -> list[Confidence]:
            rows = db.execute(
                f"SELECT id, asked, outcome, confidence FROM questions {_BY_HISTORY} WHERE question IS NOT NULL "
                "AND outcome IN (?, ?, ?) ORDER BY accepted_at DESC, id DESC LIMIT ?",
                (Outcome.ANSWERED, Outcome.SUGGESTED, Outcome.DECLINED, limit),
            )
            return list(each(rows, lambda row: Confidence(row[0], row[1], Outcome(row[2]), float(row[3]))))

        return await self._connection.run(read)

    async def ratings(self, limit: int) -> list[tuple[float, bool]]:
        def read(db: sqlite3.Connection) -> list[tuple[float, bool]]:
            rows = db.execute(
                "SELECT confidence, helpful FROM feedback CROSS JOIN questions INDEXED BY questions_by_reference "
                "ON questions.reference = feedback.reference AND questions.platform = feedback.platform "
                "WHERE questions.reference IS NOT NULL ORDER BY at DESC LIMIT ?",
                (limit,),
            )
            return list(each(rows, lambda row: (float(row[0]), bool(row[1]))))

        return await self._connection.run(read)

    async def citations(self) -> dict[str, Cited]:
        def read(db: sqlite3.Connection) -> dict[str, Cited]:
            rows = db.execute("SELECT document, count(*), max(at) FROM citations GROUP BY document")
            return {document: Cited(questions, last) for document, questions, last in rows}

        return await self._connection.run(read)


_Row = tuple[int, str, str | None, float, int, int]


def _page(db: sqlite3.Connection, only: HistoryFilter, limit: int, after: Cursor | None) -> list[_Row]:
    """Return the latest rows of a filter after a place, `limit` at most."""
    conditions, values = _conditions(only)
    if after is not None:
        conditions.append("(accepted_at, id) < (?, ?)")
        values += after
    order = "ORDER BY accepted_at DESC, id DESC"
    found = f"SELECT id FROM questions {_BY_HISTORY} WHERE {' AND '.join(conditions)} {order} LIMIT ?"
    return db.execute(f"{_ROWS} WHERE id IN ({found}) {order}", (*values, limit)).fetchall()


def _kept(row: _Row) -> KeptQuestion:
    question_id, question, answer, at, helpful, wrong = row
    return KeptQuestion(
        question_id, question_from(question), answer_from(answer) if answer else None, at, helpful, wrong
    )


def _counted(db: sqlite3.Connection, since: float, until: float) -> Counter[Outcome]:
    """Return how many of the questions between two times have each outcome."""
    rows = db.execute(
        f"SELECT outcome, count(*) FROM questions {_BY_HISTORY} WHERE question IS NOT NULL AND outcome IS NOT NULL "
        "AND accepted_at >= ? AND accepted_at < ? GROUP BY outcome",
        (since, until),
    )
    return Counter({Outcome(outcome): count for outcome, count in rows if outcome in _OUTCOMES})


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY, UTC).strftime("%Y-%m-%d")


def _conditions(only: HistoryFilter) -> tuple[list[str], list[object]]:
    """Return the conditions for the rows that are wanted, with the values of their parameters."""
    conditions, values = ["question IS NOT NULL"], list[object]()
    for column, value in (("outcome", only.outcome), ("platform", only.platform), ("chat", only.chat)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    if only.since is not None:
        conditions.append("accepted_at >= ?")
        values.append(only.since)
    if only.rating is not None:
        conditions.append("(platform, reference) IN (SELECT platform, reference FROM feedback WHERE helpful = ?)")
        values.append(only.rating is Rating.HELPFUL)
    if only.text:
        conditions.append(r"asked LIKE ? ESCAPE '\'")
        escaped = only.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        values.append(f"%{escaped}%")
    return conditions, values
