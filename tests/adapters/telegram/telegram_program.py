"""The Telegram adapter in a process of its own, to be killed: telegram_program.py ADDRESS FOLDER. What is asked as `slow ...`
is answered slowly."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[3])]

from telegram_house import ScriptedEngine, TelegramHouse

from bot.adapters.telegram import presence
from bot.messages import Answer, Progress, Question


class SlowEngine(ScriptedEngine):
    async def answer(self, question: Question, progress: Progress) -> Answer:
        answer = await super().answer(question, progress)
        await asyncio.sleep(1.0 if question.text.startswith("slow") else 0.005)
        return answer


async def main(address: str, folder: str) -> None:
    presence._PLACEHOLDER_AFTER = 0.2
    house = TelegramHouse(cast("Any", SimpleNamespace(address=address)), Path(folder))
    house.engine = SlowEngine()
    async with house.with_settings(limits={"author_questions": 0, "chat_questions": 0}):
        await house.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
