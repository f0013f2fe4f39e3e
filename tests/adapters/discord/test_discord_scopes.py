"""A source for one Discord server, asked for by everything that another server and a direct message offer."""

import pytest

from bot.core.settings import Settings
from bot.runtime.application import open_application
from bot.sources.fetching import Fetcher
from tests.knowledge.formats.exports.export_writers import zipped

HANDBOOK = "# Vault\n\nThe vault code is kept by Magdalena Quist in the boathouse.\n"
VAULT = "Who keeps the vault code in the boathouse?"


@pytest.fixture
def guild(server):
    return server.guild("ours")


@pytest.fixture
async def application(guild, settings, models, folder_of, tmp_path):
    folder_of({"guide.md": "# Guide\n\n## Water\n\nUse water at 92 degrees.\n"})
    (tmp_path / "handbook.zip").write_bytes(zipped({"Vault " + "a" * 32 + ".md": HANDBOOK}))
    source = {"name": "handbook", "kind": "notion", "file": str(tmp_path / "handbook.zip")}
    sources = Settings(sources=[source | {"scope": [f"discord:{guild['id']}"]}]).sources
    settings = settings.model_copy(update={"sources": sources})
    await Fetcher(sources[0], settings).fetch()
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        yield application


@pytest.fixture
async def bot(running, application):
    async with running(engine=application.answering.engine, limits={"per_user": 1000}) as bot:
        yield bot


async def answered(server, channel: str, count: int) -> str:
    """The text of everything that the bot has said in a channel, once it has said so much."""
    await server.until(lambda: len(server.from_bot(channel)) >= count)
    return "\n".join(f"{message}" for message in server.from_bot(channel))


async def responded(server, interaction) -> str:
    message = await server.until(
        lambda: (
            interaction.message
            and interaction.message["content"]
            and "working" not in interaction.message["content"]
            and interaction.message
        )
    )
    return f"{message}"


async def test_members_of_the_server_are_answered(bot, server, channel, ann):
    """By a mention, in a thread, by a command, and with the document in short."""
    await server.say(channel, f"@bot {VAULT}", ann)
    assert "Magdalena Quist" in await answered(server, channel, 1)
    assert "Magdalena Quist" in await responded(server, await server.slash(channel, ann, "ask", {"question": VAULT}))
    await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
    document = {"document": "handbook:Vault.md"}
    assert "Magdalena Quist" in await responded(server, await server.slash(channel, ann, "summarise", document))
    explained = await server.slash(channel, server.owner, "bot explain", {"question": VAULT})
    assert "Vault" in await responded(server, explained)


async def test_nobody_else_is(bot, server, channel, ann):
    """In another server and in a direct message; what was asked in the server before doesn't help."""
    await server.say(channel, f"@bot {VAULT}", ann)
    await answered(server, channel, 1)
    other, direct = server.channel(server.guild("theirs")), server.direct(ann)
    for place in (other, direct):
        await server.say(place, f"@bot {VAULT}", ann)
        await server.say(place, "@bot and who is Magdalena Quist?", ann)
        await server.say(place, "@bot What can I ask you?", ann)
        heard = await answered(server, place, 3)
        asked = await responded(server, await server.slash(place, ann, "ask", {"question": VAULT}))
        explained = await responded(server, await server.slash(place, server.owner, "bot explain", {"question": VAULT}))
        for text in (heard, asked, explained):
            for secret in ("Quist in the", "Vault", "handbook"):
                assert secret not in text
    await server.slash(other, server.owner, "bot tasks", {"state": "on"})
    refused = await responded(server, await server.slash(other, ann, "summarise", {"document": "handbook:Vault.md"}))
    assert "there is no such document" in refused
