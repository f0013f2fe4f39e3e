"""HTTP: questions as requests, answers as responses, in a form of the bot's own and in that of the OpenAI API."""

from bot.adapters.http.adapter import HttpAdapter as HttpAdapter
from bot.adapters.http.answers import answers_router as answers_router
from bot.adapters.http.openai import openai_router as openai_router
from bot.adapters.http.tasks import tasks_router as tasks_router
