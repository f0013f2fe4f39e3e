"""Exports of other programs: ZIP archives of Notion, Confluence, Google and Telegram, as files that the loaders read."""
