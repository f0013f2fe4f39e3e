"""Two bots in one channel: neither answers the other, and each keeps its own entries."""

from contextlib import asynccontextmanager

import pytest

from bot.core.messages import Policy
from bot.runtime.application import open_application
from tests.adapters.discord.discord_application import RunningBot, ScriptedEngine
from tests.platforms.discord_server import Json

_TOKEN = "another.token.for-tests"  # noqa: S105


@pytest.fixture
def running_other(server, settings, models, tmp_path):
    """Start the other bot, on a journal of its own."""

    @asynccontextmanager
    async def run():
        storage = settings.storage.model_copy(update={"folder": tmp_path / "other"})
        own = settings.model_copy(
            update={"storage": storage, "discord": settings.discord.model_validate({"token": _TOKEN})}
        )
        async with open_application(own, models) as application:
            bot = RunningBot(application, ScriptedEngine(), own)
            await bot.start()
            try:
                await server.connected(2)
                yield bot, application
            finally:
                await bot.stop()

    return run


async def test_each_bot_answers_what_it_is_asked_and_neither_the_other(
    server, guild, channel, ann, bot, application, running_other
):
    """Also where both answer every question: what each of them says looks like one."""
    other_user = server.another_bot(_TOKEN)
    await server.dispatch("GUILD_CREATE", guild)

    def said_by(user: Json) -> list[Json]:
        return [message for message in server.messages[channel] if message["author"]["id"] == user["id"]]

    async with running_other() as (other, other_application):
        for one in (application, other_application):
            await one.stores.journal.platforms.set_policy("discord", channel, Policy.ALWAYS)
        to_other = f"<@{other_user['id']}>"
        await server.say(channel, "@bot which pump?", ann)
        await server.until(lambda: len(said_by(server.me)) == 1)
        await server.say(channel, f"{to_other} which hose?", ann, mentions=(other_user,))
        await server.until(lambda: len(said_by(other_user)) == 1)
        await server.say(channel, "@bot and how?", ann, reply_to=said_by(server.me)[0])
        await server.until(lambda: len(said_by(server.me)) == 2)
        await server.say(channel, f"@bot {to_other} what is for both?", ann, mentions=(other_user,))
        await server.until(lambda: len(said_by(server.me)) == 3 and len(said_by(other_user)) == 2)
        await server.say(channel, "what is for everybody?", ann)
        await server.until(lambda: len(said_by(server.me)) == 4 and len(said_by(other_user)) == 3)
        await bot.dispatcher.queue.idle()
        await other.dispatcher.queue.idle()
        assert (len(bot.engine.asked), len(other.engine.asked)) == (4, 3)
        mine, theirs = said_by(server.me)[0]["id"], said_by(other_user)[0]["id"]
        for one, own, foreign in ((application, mine, theirs), (other_application, theirs, mine)):
            assert await one.stores.journal.answers.answered_by("discord", own)
            assert await one.stores.journal.answers.answered_by("discord", foreign) is None
