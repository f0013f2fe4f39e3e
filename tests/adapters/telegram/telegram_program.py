"""The Telegram adapter in a process of its own, to be killed: telegram_program.py ADDRESS FOLDER. What is asked as `slow ...`
is answered slowly."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[3])]

from telegram_application import ScriptedEngine, TelegramApplication

from bot.adapters.telegram import progress
from bot.core.messages import Answer, Progress, Question
from tests.platforms.telegram_server import TOKEN


class SlowEngine(ScriptedEngine):
    async def answer(self, question: Question, progress: Progress) -> Answer:
        answer = await super().answer(question, progress)
        await asyncio.sleep(1.0 if question.text.startswith("slow") else 0.005)
        return answer


async def main(address: str, folder: str) -> None:
    progress._PLACEHOLDER_AFTER = 0.2
    application = TelegramApplication(cast("Any", SimpleNamespace(address=address, token=TOKEN)), Path(folder))
    application.engine = SlowEngine()
    async with application.with_settings(limits={"author_questions": 0, "chat_questions": 0}):
        await application.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
