"""The protocols of `bot.storage.base` over SQLite."""
