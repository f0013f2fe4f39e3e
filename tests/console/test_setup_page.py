"""The set-up page: the steps of `knowledge-bot setup` in a browser, against the local platforms."""

import gc
import stat
import tomllib
from urllib.parse import parse_qs, urlsplit

import discord
import pytest
from adapters.http.http_application import until
from adapters.test_setup import DISCORD_TOKEN, TELEGRAM_TOKEN, discord_platform  # noqa: F401 - a fixture
from pydantic import SecretStr

from bot.adapters.discord.setup import PERMISSIONS
from bot.adapters.setting_up import PlatformSetup
from bot.console import setup
from tests.platforms.telegram_server import TelegramServer

WRONG = DISCORD_TOKEN.replace("x", "y")


@pytest.fixture
async def telegram_platform():
    async with TelegramServer() as server:
        server.token = TELEGRAM_TOKEN
        yield server


@pytest.fixture
def token() -> str:
    """The token of Telegram in the settings of the running bot."""
    return ""


@pytest.fixture
def console_settings(console_settings, telegram_platform, token):
    telegram = {"api_url": telegram_platform.address, "token": SecretStr(token)}
    return console_settings.model_copy(update={"telegram": console_settings.telegram.model_copy(update=telegram)})


async def test_discord_is_connected(discord_platform, console, tmp_path, caplog):  # noqa: F811
    """From the token to the first message, which gets a greeting. The token stands in the settings file and nowhere else."""
    server, page = discord_platform, "/setup/discord"
    assert "has no token yet" in await console.get("/setup")
    assert "Reset Token" in await console.get(page)
    response = await console.send(page, page, token=f" {DISCORD_TOKEN} ")
    await server.until(lambda: server._sockets, seconds=30)
    waiting = await console.until_gone("Asking Discord", page)
    assert "Waiting for the first message" in waiting
    assert "Message Content intent is off" in waiting  # as this server says it is
    channel = server.channel(server.guild())
    await server.say(channel, "@bot are you there?", server.user("ann"))
    done = await console.until_gone("Waiting for the first message", page)
    assert "it works" in done and "ann" in done and "Start the bot again" in done
    assert [message["content"] for message in server.from_bot(channel)] == ["It works: I can read and write here."]
    [link] = [part for part in done.replace("&amp;", "&").split('"') if part.startswith("https:") and "oauth2" in part]
    asked = parse_qs(urlsplit(link).query)
    assert asked["client_id"] == [server.application]
    assert asked["scope"] == ["bot applications.commands"]
    assert discord.Permissions(int(asked["permissions"][0])) == PERMISSIONS
    file = tmp_path / "bot.toml"
    assert tomllib.loads(file.read_text()) == {"discord": {"token": DISCORD_TOKEN}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    texts = [response.text, waiting, done, caplog.text, await console.get("/settings")]
    assert not any(DISCORD_TOKEN in text for text in texts)


async def test_telegram_is_connected(telegram_platform, console, tmp_path, caplog):
    page = "/setup/telegram"
    assert "@BotFather" in await console.get(page)
    await console.send(page, page, token=TELEGRAM_TOKEN)
    await until(lambda: telegram_platform.called("getUpdates"))
    ann = telegram_platform.person("Ann")
    telegram_platform.says(telegram_platform.private(ann), ann, "how hot?")
    done = await console.until_gone("Waiting for the first message", page)
    assert "come from Ann: it works" in done
    assert f'href="https://t.me/{telegram_platform.me["username"]}"' in done
    assert "privacy mode" in done
    assert tomllib.loads((tmp_path / "bot.toml").read_text())["telegram"]["token"] == TELEGRAM_TOKEN
    assert TELEGRAM_TOKEN not in done + caplog.text
    assert len(telegram_platform.pending) == 1  # the message is still there for the bot


async def test_a_refused_token_is_not_kept_nor_shown(discord_platform, console, tmp_path, monkeypatch, caplog):  # noqa: F811
    page, file = "/setup/discord", tmp_path / "bot.toml"
    for token, said in ((WRONG, "refuses the token"), ("gibberish-of-mine", "look like a bot"), ("", "no token was")):
        response = await console.send(page, page, token=token)
        text = response.text if not token else await console.until_gone("Asking Discord", page)
        assert said in text
        assert not token or token not in response.text + text + caplog.text
        assert not file.exists()
    response = await console.client.post(f"/console{page}", data={"token": WRONG})  # without the token of the form
    assert (response.status_code, WRONG in response.text) == (403, False)
    monkeypatch.setenv("DISCORD_TOKEN", DISCORD_TOKEN)
    await console.send(page, page, token=DISCORD_TOKEN)
    assert "DISCORD_TOKEN is set in the environment" in await console.until_gone("Asking Discord", page)
    discord_platform.violations.clear()  # the server notes each wrong token


async def test_waiting_can_be_ended_and_begun_again(telegram_platform, console):
    page = "/setup/telegram"
    await console.send(page, page, token=TELEGRAM_TOKEN)
    await until(lambda: telegram_platform.called("getUpdates"))
    response = await console.send(page, f"{page}/stop")
    assert "Ended." in response.text
    assert "Waiting" not in response.text
    asked = len(telegram_platform.called("getUpdates"))
    await console.send(page, page, token=TELEGRAM_TOKEN)
    await until(lambda: len(telegram_platform.called("getUpdates")) > asked)
    telegram_platform._poller.set()  # as another program with the same token does
    assert "another program receives" in await console.until_gone("Waiting for the first message", page)


async def test_a_set_up_ends_by_itself_and_forgets_the_token(telegram_platform, console, monkeypatch):
    page = "/setup/telegram"
    await console.get(page)  # which imports the library
    monkeypatch.setattr(setup, "_LONGEST", 1.0)
    response = await console.send(page, page, token=TELEGRAM_TOKEN)
    assert "data-following" in response.text
    ended = await console.until_gone("data-following", page)
    assert "minutes, so the set-up has ended. Begin it again." in ended
    await until(lambda: not _kept_tokens())


def _kept_tokens() -> list[PlatformSetup]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, PlatformSetup) and one._settings.telegram.token]


@pytest.mark.parametrize("token", [TELEGRAM_TOKEN])
async def test_the_messages_of_a_platform_that_is_served_are_left_to_the_bot(telegram_platform, console, tmp_path):
    """Its token is checked and the link shown, but two programs that receive would take messages from each other."""
    page = "/setup/telegram"
    assert "the bot serves it" in await console.get("/setup")
    await console.send(page, page)
    text = await console.until_gone("Asking Telegram", page)
    assert f"https://t.me/{telegram_platform.me['username']}" in text
    assert "Waiting" not in text
    assert not telegram_platform.called("getUpdates")
    assert not (tmp_path / "bot.toml").exists()
