"""Pressed buttons and inline queries of a local Telegram, and the bot's answers to them."""

import secrets
import time
from typing import Any

from tests.platforms.telegram_chats import Json
from tests.platforms.telegram_markup import Refused, formatted, units
from tests.platforms.telegram_messages import Messages

_CALLBACK_SECONDS = 15.0  # after which a pressed button or an inline query can't be answered any more


class Interactions(Messages):
    """Sends queries to the bot and carries out the calls that answer them. They raise `Refused`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.callback_answers: dict[str, Json] = {}
        self.inline_answers: dict[str, Json] = {}
        self._queries: dict[str, float] = {}  # open callback and inline queries, with when they were made

    def _query(self, kind: str, content: Json) -> str:
        query = secrets.token_hex(6)
        self._queries[query] = time.monotonic()
        self._update(kind, {"id": query, **content})
        return query

    async def _do_answerCallbackQuery(self, wanted: Json) -> bool:  # noqa: N802
        self._close_query(wanted["callback_query_id"])
        if units(wanted.get("text", "")) > 200:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self.callback_answers[wanted["callback_query_id"]] = wanted
        return True

    async def _do_answerInlineQuery(self, wanted: Json) -> bool:  # noqa: N802
        self._close_query(wanted["inline_query_id"])
        results = wanted["results"]
        if len(results) > 50 or len({result["id"] for result in results}) < len(results):
            raise Refused(400, "Bad Request: RESULT_ID_DUPLICATE")
        for result in results:
            content = result["input_message_content"]
            formatted(content["message_text"], content.get("parse_mode"), content.get("entities"))
        self.inline_answers[wanted["inline_query_id"]] = wanted
        return True

    def _close_query(self, query: str) -> None:
        made = self._queries.pop(query, None)
        if made is None or time.monotonic() - made > _CALLBACK_SECONDS:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
