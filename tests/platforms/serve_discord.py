"""The program, with discord.py turned to a local server: `python -m tests.platforms.serve_discord API GATEWAY ENGINE run`.

ENGINE is `real`, or `echo` for one that repeats the question, where the way of a question is measured and not the models.
"""

import sys

import discord
import yarl

from bot.cli import main
from bot.engine.qa import QAEngine, new_reference
from bot.messages import Answer, Outcome, Question


async def _echo(_engine: QAEngine, question: Question, _progress: object = None) -> Answer:
    return Answer(Outcome.ANSWERED, f"You asked: {question.text}", new_reference())


if __name__ == "__main__":
    _, discord.http.Route.BASE, gateway, engine, *arguments = sys.argv
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    if engine == "echo":
        QAEngine.answer = _echo
    sys.argv[1:] = arguments
    main()
