"""The findings of the doctor."""

import json
import os
import re
import time
from typing import Any

import pytest

from bot.adapters.checking import check_platforms
from bot.core.diagnosis import Diagnosis, Severity
from bot.core.settings import DiscordSettings, GeneratorSettings, Settings
from bot.runtime.doctor import examine
from bot.storage.data_folder import alone_in
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import DiscordServer
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer


@pytest.fixture
def said(settings, models):
    """The findings of the doctor, by subject."""

    async def run(online: bool = False, **sections: object) -> dict[str, list[Diagnosis]]:
        changed = settings.model_copy(update=sections)
        found: dict[str, list[Diagnosis]] = {}
        async for one in examine(changed, check_platforms(changed, online=online), models):
            found.setdefault(one.subject, []).append(one)
        return found

    return run


def worst(found: dict[str, list[Diagnosis]], subject: str) -> Diagnosis:
    order = [Severity.OK, Severity.WARNING, Severity.ERROR]
    return max(found[subject], key=lambda one: order.index(one.level))


async def test_where_all_is_well_every_line_is_ok(said, healthy):
    """Each subject is named, the threshold among them."""
    found = await said()
    assert {one.level for lines in found.values() for one in lines} == {Severity.OK}
    assert {"settings", "sqlite", "data folder", "disk", "database", "clock", "models", "index", "threshold"} <= set(
        found
    )
    [threshold] = found["threshold"]
    assert "of 9 questions made from the documents and reworded, by rules, 100% are answered right" in threshold.text


def test_programs_read_the_level_the_subject_and_the_text(command, tmp_path):
    """`doctor --json` is read by scripts, whose fields don't change with the names in the code."""
    (tmp_path / "knowledge").mkdir()
    lines = json.loads(command("doctor", "--offline", "--json").stdout)
    assert {tuple(line) for line in lines} == {("level", "subject", "text")}
    assert {line["level"] for line in lines} <= {"ok", "warning", "error"}


async def test_a_converter_that_is_not_confined_is_said_with_the_fix(said, healthy, monkeypatch):
    """With what is missing and why."""
    without = "from bot.knowledge import conversion, sandbox; sandbox._LAYERS['seccomp'] = lambda: open('/nowhere'); "
    monkeypatch.setattr("bot.knowledge.converter._MAIN", f"{without}conversion.main(2**30)")
    [found] = (await said())["converter"]
    assert found.level is Severity.WARNING
    assert "missing: seccomp (No such file or directory)" in found.text
    assert "libseccomp" in found.text


async def test_what_is_wrong_with_the_data_folder_is_said_with_the_fix(said, healthy):
    """Others may read it, a database is damaged, a file is from the future."""
    data = healthy.storage.folder
    data.chmod(0o755)
    journal = data / "journal.sqlite3"
    journal.write_bytes(journal.read_bytes()[:4096] + b"\xff" * 20_000)
    os.utime(data / "index.sqlite3", (time.time() + 7200,) * 2)
    found = await said()
    assert worst(found, "data folder").text.endswith(f"chmod 700 {data}")
    assert worst(found, "database").level is Severity.ERROR
    assert "--set-damaged-aside" in worst(found, "database").text
    assert worst(found, "clock").level is Severity.WARNING


async def test_an_index_that_is_behind_and_documents_that_can_t_be_read_are_said(said, small, folder_of):
    """How many; and before the first index, that there is none."""
    folder_of({"new.md": "# New\n\nText.\n"})
    assert "1 file was changed since" in worst(await said(), "index").text
    (small.knowledge.folder / "note.md").unlink()
    assert "2 files were changed since" in worst(await said(), "index").text


async def test_a_running_bot_is_seen_and_left_alone(said, small):
    """The doctor may come while it works."""
    with alone_in(small.storage.folder):
        assert "a bot is running" in worst(await said(), "bot").text


async def test_a_threshold_that_does_not_fit_is_said_with_one_that_would(said, healthy):
    """Too high: questions that the documents answer are declined."""
    found = worst(await said(answer=healthy.answer.model_copy(update={"threshold": 0.999})), "threshold")
    assert found.level is Severity.WARNING
    assert "try answer.threshold = 0." in found.text
    found = worst(await said(answer=healthy.answer.model_copy(update={"threshold": 0.0})), "threshold")
    assert found.level is Severity.WARNING


async def test_the_questions_of_the_threshold_are_reworded_by_the_generator(said, healthy):
    """A server that puts each heading into other words, and to which the phrasing of answers is nothing."""

    def reworded(body: dict[str, Any]) -> list[str]:
        asked = re.findall(r"^Question: (.*) \(Guide\)$", body["messages"][-1]["content"], re.MULTILINE)
        return ["how should the ", f"{asked[-1].lower()} be cleaned every week?\n"] if asked else ["Nothing."]

    async with OpenAIServer.running() as server:
        server.answer = reworded
        there = GeneratorSettings(provider="openai", model="any", base_url=server.address)
        [threshold] = (await said(generator=there))["threshold"]
    assert (
        "of 9 questions made from the documents and reworded, 9 by the generator, 100% are answered" in threshold.text
    )


async def test_tokens_are_looked_at_and_tried(said, monkeypatch):
    """Their shape without the network; with it, whether they are taken, and what the bot may see."""
    bad = Settings(telegram={"token": "abc"}, discord={"token": "abc"})
    found = await said(telegram=bad.telegram, discord=bad.discord)
    assert worst(found, "telegram").level is worst(found, "discord").level is Severity.ERROR
    async with TelegramServer() as server:
        good = Settings(telegram={"token": TELEGRAM_TOKEN, "api_url": server.address, "policy": "always"})
        monkeypatch.setattr("bot.adapters.telegram.checking._TOKEN", __import__("re").compile(".*"))
        found = await said(online=True, telegram=good.telegram)
        assert found["telegram"][0].text.startswith("the token is that of @")
        assert "privacy mode is on" in worst(found, "telegram").text
        wrong = Settings(telegram={"token": "1:" + "x" * 35, "api_url": server.address})
        assert "refuses the token" in worst(await said(online=True, telegram=wrong.telegram), "telegram").text
        gone = Settings(telegram={"token": TELEGRAM_TOKEN, "api_url": "http://127.0.0.1:9"})
        assert "can't be reached" in worst(await said(online=True, telegram=gone.telegram), "telegram").text


async def test_discord_says_which_intents_there_are(said, monkeypatch):
    """And refuses a wrong token."""
    async with DiscordServer.running() as server:
        monkeypatch.setattr("discord.http.Route.BASE", server.api)
        monkeypatch.setattr("bot.adapters.discord.checking._TOKEN", __import__("re").compile(".*"))
        found = await said(online=True, discord=DiscordSettings(token=DISCORD_TOKEN))
        assert found["discord"][0].text.startswith("the token is that of ")
        found = await said(online=True, discord=DiscordSettings(token="wrong"))
        assert "refuses the token" in worst(found, "discord").text


async def test_discord_says_which_permissions_are_missing_where(said, monkeypatch):
    """Channels with the same ones together; those that the bot doesn't see are only counted; a timeout is named."""
    async with DiscordServer.running() as server:
        monkeypatch.setattr("discord.http.Route.BASE", server.api)
        monkeypatch.setattr("bot.adapters.discord.checking._TOKEN", __import__("re").compile(".*"))
        guild = server.guild("Bikes")
        for name, denied in (
            ("talk", 0),
            ("rules", 1 << 11),
            ("news", 1 << 11),
            ("files", 1 << 15),
            ("staff", 1 << 10),
        ):
            server.deny(server.channel(guild, name), denied)
        found = await said(online=True, discord=DiscordSettings(token=DISCORD_TOKEN, message_content=False))
        assert worst(found, "discord").text == (
            "in Bikes the bot lacks Send Messages in #rules, #news; Attach Files in #files; 1 channel hidden from it: give "
            "these permissions to its role, there or in the channel."
        )
        guild["members"][0]["communication_disabled_until"] = "2999-01-02T03:04:00+00:00"
        found = await said(online=True, discord=DiscordSettings(token=DISCORD_TOKEN, message_content=False))
        assert "in Bikes the bot is timed out until 2999-01-02 03:04 UTC" in worst(found, "discord").text


async def test_the_generator_is_named_or_the_command_that_fetches_it(said, copying):
    """A real model with its style, and one that is not there."""
    there = GeneratorSettings(provider="local", model=copying)
    found = worst(await said(generator=there), "generator")
    assert found.level is Severity.OK
    assert f"model {there.model}" in found.text
    assert "style dialogue" in found.text
    missing = worst(await said(generator=GeneratorSettings(provider="local", model="no/such-model")), "generator")
    assert missing.level is Severity.WARNING
    assert "models.auto_download" in missing.text


async def test_the_file_with_the_wording_of_prompts_is_read(said, copying, tmp_path):
    """A broken one is an error with its line; without one nothing is said."""
    there = GeneratorSettings(provider="local", model=copying)
    assert "prompts" not in await said(generator=there)
    file = tmp_path / "prompts.toml"
    file.write_text('[chat]\nuser = "{documents}"\n', encoding="utf-8")
    found = await said(generator=there.model_copy(update={"prompts": file}))
    assert worst(found, "prompts").level is Severity.ERROR
    assert "line 2: chat.user: {question} is missing" in worst(found, "prompts").text
    file.write_text('[chat]\nuser = "{documents} {question}"\n', encoding="utf-8")
    assert worst(await said(generator=there.model_copy(update={"prompts": file})), "prompts").level is Severity.OK
