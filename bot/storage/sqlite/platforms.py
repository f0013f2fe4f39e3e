"""The policies of chats and the notes of adapters in SQLite."""

import sqlite3
from collections.abc import Sequence

from bot.core.messages import Policy
from bot.storage.sqlite.connection import Connection


class SqlitePlatforms:
    """A PlatformStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def policy(self, platform: str, chats: Sequence[str]) -> Policy | None:
        def read(db: sqlite3.Connection) -> Policy | None:
            for chat in chats:
                statement = "SELECT policy FROM policies WHERE platform = ? AND chat = ?"
                if row := db.execute(statement, (platform, chat)).fetchone():
                    return Policy(row[0])
            return None

        return await self._connection.run(read)

    async def policies(self, platform: str) -> dict[str, Policy]:
        def read(db: sqlite3.Connection) -> dict[str, Policy]:
            rows = db.execute("SELECT chat, policy FROM policies WHERE platform = ? ORDER BY chat", (platform,))
            return {chat: Policy(policy) for chat, policy in rows}

        return await self._connection.run(read)

    async def set_policy(self, platform: str, chat: str, policy: Policy | None) -> None:
        if policy is None:
            await self._connection.write("DELETE FROM policies WHERE platform = ? AND chat = ?", platform, chat)
        else:
            await self._connection.write(
                "INSERT OR REPLACE INTO policies VALUES (?, ?, ?)", platform, chat, policy.value
            )

    async def move_chat(self, platform: str, old: str, new: str) -> None:
        await self._connection.write(
            "UPDATE OR REPLACE policies SET chat = ? WHERE platform = ? AND chat = ?", new, platform, old
        )

    async def note(self, platform: str, key: str) -> str | None:
        def read(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM notes WHERE platform = ? AND key = ?", (platform, key)).fetchone()
            return row[0] if row else None

        return await self._connection.run(read)

    async def set_note(self, platform: str, key: str, value: str | None) -> None:
        if value is None:
            await self._connection.write("DELETE FROM notes WHERE platform = ? AND key = ?", platform, key)
        else:
            await self._connection.write("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", platform, key, value)
