"""`knowledge-bot setup`: the command of the program, against the local platforms, with a token that is typed."""

import asyncio
import io
import stat
import sys
import tomllib
from urllib.parse import parse_qs, urlsplit

import discord
import pytest
import yarl
from adapters.http.http_application import until

from bot.adapters.discord.setup import PERMISSIONS
from bot.core.errors import SettingsError
from bot.core.settings.writing import write_secret
from tests.platforms.discord_server import DiscordServer
from tests.platforms.telegram_server import TelegramServer

# Of the shape of real ones.
DISCORD_TOKEN = f"{'M' * 24}.{'G' * 6}.{'x' * 38}"
TELEGRAM_TOKEN = f"123456:{'A' * 35}"


@pytest.fixture
async def discord_platform(monkeypatch):
    async with DiscordServer.running() as server:
        server.bots = {DISCORD_TOKEN: server.me}
        monkeypatch.setattr(discord.http.Route, "BASE", server.api)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway))
        yield server
        assert server.violations == []


@pytest.fixture
async def telegram_platform(tmp_path):
    async with TelegramServer() as server:
        server.token = TELEGRAM_TOKEN
        (tmp_path / "bot.toml").write_text(f'# ours\n[telegram]\napi_url = "{server.address}"  # local\n')
        yield server


@pytest.fixture
def setup(command, monkeypatch):
    """Run the command in a thread, with a token on its standard input."""

    async def run(token: str, *arguments: str, **environment: str):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))
        return await asyncio.to_thread(command, "setup", *arguments, **environment)

    return run


async def test_setup_connects_discord(discord_platform, setup, tmp_path):
    """From the token to the first message, which gets a greeting; the token is kept and never shown."""
    server = discord_platform
    running = asyncio.create_task(setup(DISCORD_TOKEN, "discord"))
    await server.until(lambda: server._sockets, seconds=30)
    channel = server.channel(server.guild())
    await server.say(channel, "@bot are you there?", server.user("ann"))
    ended = await running
    assert (ended.returncode, DISCORD_TOKEN in ended.stdout + ended.stderr) == (0, False)
    assert "it works" in ended.stdout and "ann" in ended.stdout
    assert [message["content"] for message in server.from_bot(channel)] == ["It works: I can read and write here."]
    file = tmp_path / "bot.toml"
    assert tomllib.loads(file.read_text()) == {"discord": {"token": DISCORD_TOKEN}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = next(line.strip() for line in ended.stdout.splitlines() if "oauth2" in line)
    asked = parse_qs(urlsplit(link).query)
    assert asked["client_id"] == [server.application]
    assert asked["scope"] == ["bot applications.commands"]
    assert discord.Permissions(int(asked["permissions"][0])) == PERMISSIONS
    assert "Message Content intent is off" in ended.stderr  # as this server says it is


async def test_setup_keeps_no_token_that_the_platform_refuses(discord_platform, setup, tmp_path):
    wrong = DISCORD_TOKEN.replace("x", "y")
    ended = await setup(wrong, "discord")
    assert (ended.returncode, (tmp_path / "bot.toml").exists()) == (1, False)
    assert "refuses the token" in ended.stderr
    assert wrong not in ended.stdout + ended.stderr
    ended = await setup("gibberish", "discord")
    assert "doesn't look like a bot's token" in ended.stderr
    ended = await setup("", "discord")
    assert (ended.returncode, "no token was given" in ended.stderr) == (2, True)
    discord_platform.violations.clear()  # the server notes each wrong token


async def test_setup_connects_telegram(telegram_platform, setup, tmp_path):
    """The rest of the settings file stays as it stands, and the message is still there for the bot."""
    server = telegram_platform
    running = asyncio.create_task(setup(TELEGRAM_TOKEN, "telegram"))
    await until(lambda: server.called("getUpdates"))
    ann = server.person("Ann")
    server.says(server.private(ann), ann, "how hot?")
    ended = await running
    assert (ended.returncode, TELEGRAM_TOKEN in ended.stdout + ended.stderr) == (0, False)
    assert f"https://t.me/{server.me['username']}\n" in ended.stdout
    assert "come from Ann: it works" in ended.stdout
    assert len(server.pending) == 1
    text = (tmp_path / "bot.toml").read_text()
    assert text.startswith(f'# ours\n[telegram]\napi_url = "{server.address}"  # local\n')
    assert tomllib.loads(text)["telegram"]["token"] == TELEGRAM_TOKEN


async def test_setup_takes_the_token_from_the_environment(telegram_platform, setup, tmp_path):
    """And writes it nowhere; a new one would have no effect, so it is not taken."""
    before = (tmp_path / "bot.toml").read_text()
    ended = await setup("", "telegram", "--no-wait", TELEGRAM_TOKEN=TELEGRAM_TOKEN)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "bot.toml").read_text() == before
    ended = await setup(TELEGRAM_TOKEN, "telegram", "--new-token", TELEGRAM_TOKEN=TELEGRAM_TOKEN)
    assert (ended.returncode, "TELEGRAM_TOKEN is set in the environment" in ended.stderr) == (2, True)


async def test_setup_says_that_another_program_polls(telegram_platform, setup):
    server = telegram_platform
    running = asyncio.create_task(setup(TELEGRAM_TOKEN, "telegram"))
    await until(lambda: server.called("getUpdates"))
    server._poller.set()
    ended = await running
    assert (ended.returncode, "another program receives the messages" in ended.stderr) == (2, True)


def test_a_secret_is_written_without_touching_the_rest(tmp_path):
    """And where that can't be, the file stays as it was."""
    file = tmp_path / "bot.toml"
    file.write_text('# top\n[discord]\n# mine\ntoken = "old"  # of May\npolicy = "off"\n\n[http]\nport = 1\n')
    file.chmod(0o644)
    write_secret(file, "discord", "token", 'n"ew')
    assert file.read_text() == (
        '# top\n[discord]\n# mine\ntoken = "n\\"ew"  # of May\npolicy = "off"\n\n[http]\nport = 1\n'
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for broken in ("[discord\n", "discord = 3\n"):
        file.write_text(broken)
        with pytest.raises(SettingsError, match="write it yourself"):
            write_secret(file, "discord", "token", "x")
        assert file.read_text() == broken
    assert [left.name for left in tmp_path.iterdir()] == ["bot.toml"]
    with pytest.raises(SettingsError, match="write it yourself"):
        write_secret(tmp_path / "nowhere" / "bot.toml", "discord", "token", "x")
