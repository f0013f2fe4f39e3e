"""Settings: where each comes from, and that every mistake is reported with its place, all of them at once."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.core.errors import SettingsError
from bot.core.settings import (
    Settings,
    all_settings,
    erase_secret_variables,
    load_settings,
    origins,
    variables_set,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, without a settings file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str | bytes, name: str = "bot.toml") -> Path:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def problems(text: str | bytes = "") -> list[str]:
    """The problems of the settings, each without its place in the temporary folder."""
    written(text)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == "\n".join(raised.value.problems)
    return list(raised.value.problems)


# --- where they come from ---------------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_hold(folder):
    """Nothing has to be written for the first answer; the folders are in the working folder."""
    settings = load_settings()
    assert settings.answer == Settings().answer
    assert (settings.knowledge.folder, settings.storage.folder) == (folder / "knowledge", folder / "data")


def test_every_setting_has_a_help_and_a_default_that_is_allowed():
    """A default is checked like any other value."""
    sections: dict[str, dict[str, object]] = {}
    for section, key, default, description in all_settings():
        assert description.endswith("."), f"{section}.{key} has no help"
        sections.setdefault(section, {})[key] = default
    assert Settings(**sections) == Settings()


def test_the_file_of_the_working_folder_is_read():
    """Settings that it doesn't name keep their defaults."""
    written("[answer]\nthreshold = 0.5\n")
    settings = load_settings()
    assert settings.answer.threshold == 0.5
    assert settings.answer.read_passages == Settings().answer.read_passages


def test_the_environment_wins_over_the_file(monkeypatch):
    """Key by key, in any case of letters."""
    written("[answer]\nthreshold = 0.5\nread_passages = 7\n[queue]\ncapacity = 9\n")
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "0.6")
    monkeypatch.setenv("bot_queue__capacity", "3")
    settings = load_settings()
    assert (settings.answer.threshold, settings.answer.read_passages, settings.queue.capacity) == (0.6, 7, 3)


def test_the_environment_mends_a_mistake_in_the_file(monkeypatch):
    """Only what counts is checked."""
    written("[answer]\nthreshold = 5\n")
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "0.6")
    assert load_settings().answer.threshold == 0.6


def test_an_empty_variable_is_none(monkeypatch):
    """As composed containers set it for what is left out."""
    written("[answer]\nthreshold = 0.5\n")
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "")
    assert load_settings().answer.threshold == 0.5


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake():
    """Some editors write both."""
    written(b"\xef\xbb\xbf[answer]\r\nthreshold = 0.5\r\n")
    assert load_settings().answer.threshold == 0.5


def test_bot_config_is_no_unknown_variable(monkeypatch):
    """It names the settings file, which the command line reads it for."""
    monkeypatch.setenv("BOT_CONFIG", "elsewhere.toml")
    monkeypatch.setenv("BOTTLE", "x")
    assert load_settings().answer == Settings().answer


@pytest.mark.parametrize("section", ["discord", "telegram"])
def test_tokens_come_from_the_names_that_people_use_already(section, monkeypatch):
    """Which win over the file and lose against our own name; line breaks of a copied token are dropped."""
    written(f"[{section}]\ntoken = 'file'\n")

    def token() -> str:
        return getattr(load_settings(), section).token.get_secret_value()

    assert token() == "file"
    monkeypatch.setenv(f"{section.upper()}_TOKEN", " plain\n")
    assert token() == "plain"
    monkeypatch.setenv(f"BOT_{section.upper()}__TOKEN", "own")
    assert token() == "own"
    assert load_settings().platforms == [section]


def test_a_token_is_never_shown():
    """Neither in the settings, nor in a complaint about them."""
    written("[discord]\ntoken = 'hidden'\n")
    assert "hidden" not in repr(load_settings())
    assert "hidden" not in problems("[discord]\ntoken = ['hidden']\n")[0]


def test_relative_paths_count_from_the_folder_of_the_file(folder, monkeypatch):
    """Wherever the program was started; absolute ones and the home folder stay."""
    monkeypatch.setenv("HOME", "/home/someone")
    file = written("[knowledge]\nfolder = '../docs'\n[storage]\nfolder = '/var/data'\n", "conf/my.toml")
    settings = load_settings(file)
    assert (settings.knowledge.folder, settings.storage.folder) == (folder / "conf/../docs", Path("/var/data"))
    file = written("[knowledge]\nfolder = '~/docs'\n", "conf/other.toml")
    settings = load_settings(file)
    assert (settings.knowledge.folder, settings.storage.folder) == (Path("/home/someone/docs"), folder / "conf/data")


def test_paths_from_the_environment_count_from_the_same_folder(folder, monkeypatch):
    """A setting means the same, wherever it is made."""
    monkeypatch.setenv("BOT_KNOWLEDGE__FOLDER", "texts")
    assert load_settings(written("", "conf/my.toml")).knowledge.folder == folder / "conf/texts"
    Path("conf/my.toml").unlink()
    assert load_settings().knowledge.folder == folder / "texts"


def test_every_relative_path_counts_from_the_folder_of_the_file(folder):
    """Those of single files too."""
    file = written("[answer]\ncalibration = 'a.json'\n[generator]\nadapter = '/b'\n", "conf/my.toml")
    settings = load_settings(file)
    assert (settings.answer.calibration, settings.generator.adapter) == (folder / "conf/a.json", Path("/b"))
    assert load_settings().answer.calibration is None


def test_the_origin_of_each_setting_that_is_set_is_known(monkeypatch):
    """A variable with the prefix before a plain one before the file, also once the secrets are erased."""
    written("[answer]\nthreshold = 0.5\nread_passages = 7\n[discord]\ntoken = 'file'\n[telegram]\ntoken = 'file'\n")
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "0.6")
    monkeypatch.setenv("DISCORD_TOKEN", "plain")
    monkeypatch.setenv("TELEGRAM_TOKEN", "plain")
    monkeypatch.setenv("BOT_TELEGRAM__TOKEN", "own")
    expected = {
        ("answer", "threshold"): "environment variable BOT_ANSWER__THRESHOLD",
        ("answer", "read_passages"): "bot.toml line 3",
        ("discord", "token"): "environment variable DISCORD_TOKEN",
        ("telegram", "token"): "environment variable BOT_TELEGRAM__TOKEN",
    }
    assert origins() == expected
    erase_secret_variables()
    assert origins() == expected


def test_secrets_are_erased_from_the_environment_and_nothing_else_is(monkeypatch):
    """By each of their names, in any case of letters. An empty one was never set."""
    monkeypatch.setenv("BOT_LOG__LEVEL", "debug")
    monkeypatch.setenv("bot_http__token", "x" * 16)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("DISCORD_TOKEN", "")
    erase_secret_variables()
    assert not {"bot_http__token", "OPENAI_API_KEY", "DISCORD_TOKEN"} & set(os.environ)
    assert os.environ["BOT_LOG__LEVEL"] == "debug"
    assert {"BOT_HTTP__TOKEN", "OPENAI_API_KEY", "BOT_LOG__LEVEL"} <= variables_set()
    assert "DISCORD_TOKEN" not in variables_set()


def test_settings_can_not_be_changed():
    """They are read once, at the edge."""
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.answer.threshold = 0.1
    with pytest.raises(ValidationError):
        settings.answer = settings.answer


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "\n[answer]\ntreshold = 1\n",
            "bot.toml line 3: answer.treshold: there is no such setting; did you mean answer.threshold?",
        ),
        (
            "[answer]\nfoo = 1\n",
            "bot.toml line 2: answer.foo: there is no such setting; remove it (bot.example.toml lists all settings)",
        ),
        (
            "[retrieval]\npassages = 30\n",
            "bot.toml line 2: retrieval.passages: there is no such setting any more; see answer.read_passages, "
            "which it follows",
        ),
        (
            "[queue]\nlate_seconds = 900\n",
            "bot.toml line 2: queue.late_seconds: there is no such setting any more; remove it "
            "(bot.example.toml lists all settings)",
        ),
        ("[anwser]\nthreshold = 1\n", "bot.toml line 1: anwser: there is no such setting; did you mean answer?"),
        ("threshold = 1\n", "bot.toml line 1: threshold: there is no such setting; did you mean answer.threshold?"),
        (
            "[answer]\n'threshold' = 'high'\n",
            "bot.toml line 2: answer.threshold: input should be a valid number, unable to parse string as a number",
        ),
        (
            "# [answer]\n[answer] # for now\nthreshold = 1.5\n",
            "bot.toml line 3: answer.threshold: input should be less than or equal to 1",
        ),
        ("[answer]\nthreshold = nan\n", "bot.toml line 2: answer.threshold: input should be"),
        ("[queue]\ncapacity = 0\n", "bot.toml line 2: queue.capacity: input should be greater than or equal to 1"),
        ("[queue]\ncapacity = 2.5\n", "bot.toml line 2: queue.capacity: input should be a valid integer"),
        ("[queue]\ndeadline_seconds = 0\n", "bot.toml line 2: queue.deadline_seconds: input should be greater than 0"),
        (
            "[models]\nauto_download = 'perhaps'\n",
            "bot.toml line 2: models.auto_download: input should be a valid boolean",
        ),
        (
            "[log]\nlevel = 'loud'\n",
            "bot.toml line 2: log.level: input should be 'debug', 'info', 'warning' or 'error'",
        ),
        ("[encoder]\nmodel = ''\n", "bot.toml line 2: encoder.model: string should have at least 1 character"),
        ("[knowledge]\nfolder = 5\n", "bot.toml line 2: knowledge.folder: input should be a path, in quotes"),
        (
            "[knowledge]\nfolder = '~nobody-here/x'\n",
            "bot.toml line 2: knowledge.folder: nobody's home folder is called ~nobody-here",
        ),
        (
            "[knowledge]\nbase_url = 'x.org'\n",
            "bot.toml line 2: knowledge.base_url: input should begin with http:// or https:// and have no spaces",
        ),
        (
            "answer = 5\n",
            "bot.toml line 1: answer: this is a section, which begins with its name in brackets on a line of its own",
        ),
        ("[[answer]]\nthreshold = 1\n", "bot.toml: answer: this is a section"),
        (
            "[[sources]]\nname = 'a'\nurl = 'https://x.org'\n\n[[sources]]\nname = 'b'\ndept = 3\n",
            "bot.toml line 7: sources.1.dept: there is no such setting; did you mean depth?",
        ),
        (
            "[[sources]]\nname = 'A b'\nurl = 'https://x.org'\n",
            "bot.toml line 1: sources.0: 'A b' is no name of a source; give it one of small letters",
        ),
        ("[[sources]]\nname = 'a'\n", "bot.toml line 1: sources.0: the source a needs the address of a website"),
        (
            "[[sources]]\nname = 'a'\nurl = 'https://x.org'\n[[sources]]\nname = 'a'\nurl = 'https://x.org'\n",
            "bot.toml: sources: two sources are called a; give each a name of its own",
        ),
        ("[sources]\nname = 'a'\n", "bot.toml line 1: sources: each source begins with [[sources]]"),
        ("[discord]\noperators = ['ann']\n", "bot.toml line 2: discord.operators.0: input should be a valid integer"),
        (
            "[[sources]]\nname = 'a'\nurl = 'https://x.org'\nhosts = ['x.org', 5]\n",
            "bot.toml line 4: sources.0.hosts.1: input should be a valid string",
        ),
        (
            "[[sources]]\nname = 'a'\nkind = 'git'\nurl = 'https://x.org'\nfolder = 'a/../b'\n",
            "bot.toml line 1: sources.0: the source a has a branch or a folder that can't be one: branch, folder",
        ),
        (
            "[[sources]]\nname = 'a'\nkind = 'git'\nurl = '/srv/a'\n",
            "bot.toml line 1: sources.0: the repository of the source a lies on this machine; allow that by private = true",
        ),
        (
            "[[sources]]\nname = 'a'\nkind = 'git'\nurl = '--upload-pack=x'\n",
            "bot.toml line 1: sources.0: the source a needs the address of a git repository",
        ),
        ("[http]\nhost = '0.0.0.0'\n", "bot.toml line 1: http: whoever reaches 0.0.0.0 could ask; set http.token"),
        ("[http]\nhost = 'here.example'\n", "bot.toml line 1: http: whoever reaches here.example could ask"),
        ("[http]\ntoken = 'short'\n", "bot.toml line 1: http: http.token is too easy to guess; 16 characters or more"),
        (
            "[http]\ntoken = 'the-same-everywhere'\noperator_token = 'the-same-everywhere'\n",
            "bot.toml line 1: http: http.operator_token is the same as http.token",
        ),
        ("answer.threshold = 7\n", "bot.toml: answer.threshold: input should be less than"),
        (
            "[answer]\nthreshold = high\n",
            "bot.toml: not valid TOML: Invalid value (at line 2, column 13); text values stand in quotes",
        ),
        ("[answer\n", "bot.toml: not valid TOML: "),
        ("[answer]\nthreshold = 1\nthreshold = 1\n", "bot.toml: not valid TOML: Cannot overwrite a value (at line 3"),
        (b"[answer]\nthreshold = \xff\n", "bot.toml: can't be read: "),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_its_fix(text, problem):
    """One sentence, which begins with the file and, where it can be found, the line."""
    [said] = problems(text)
    assert said.startswith(problem)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BOT_ANSWER__THRESHOLD", "high", "BOT_ANSWER__THRESHOLD: input should be a valid number"),
        ("BOT_ANSWER__THRESHOLD", "2", "BOT_ANSWER__THRESHOLD: input should be less than or equal to 1"),
        (
            "BOT_ANSWER__TRESHOLD",
            "1",
            "BOT_ANSWER__TRESHOLD: there is no such setting; did you mean BOT_ANSWER__THRESHOLD?",
        ),
        (
            "BOT_ANSWER_THRESHOLD",
            "1",
            "BOT_ANSWER_THRESHOLD: there is no such setting; did you mean BOT_ANSWER__THRESHOLD?",
        ),
        ("BOT_HTTP__BODY_BYTES", "9", "BOT_HTTP__BODY_BYTES: there is no such setting any more; remove it"),
        (
            "BOT_HTTP__TIMEOUT_SECONDS",
            "9",
            "BOT_HTTP__TIMEOUT_SECONDS: there is no such setting any more; see queue.deadline_seconds",
        ),
        ("bot_nonsense", "1", "bot_nonsense: there is no such setting; remove it"),
        ("BOT_ANSWER", "0.5", "BOT_ANSWER: there is no such setting; remove it"),
        ("BOT_ANSWER", "not JSON", "BOT_ANSWER: there is no such setting; remove it"),
        ("BOT_SOURCES", "[]", "BOT_SOURCES: there is no such setting"),
        ("BOT_ANSWER__", "1", "BOT_ANSWER__: there is no such setting"),
        ("BOT_", "1", "BOT_: there is no such setting"),
        (
            "BOT_DISCORD__OPERATORS",
            "12, 34",
            'BOT_DISCORD__OPERATORS: a list stands in brackets, and texts in quotes: [1, 2] or ["a", "b"]',
        ),
        ("bot_encoder__languages", "de", "bot_encoder__languages: a list stands in brackets"),
        ("BOT_DISCORD__OPERATORS", "12", "BOT_DISCORD__OPERATORS: input should be a valid tuple"),
        ("BOT_DISCORD__OPERATORS", '["ann"]', "BOT_DISCORD__OPERATORS: input should be a valid integer"),
        ("BOT_KNOWLEDGE__FOLDER", "~nobody-here", "BOT_KNOWLEDGE__FOLDER: nobody's home folder is called ~nobody-here"),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(variable, value, problem, monkeypatch):
    """And not the file, even if that has the same setting."""
    monkeypatch.setenv(variable, value)
    said = problems("[answer]\nthreshold = 0.5\n")
    assert said[0].startswith(f"environment variable {problem}")
    assert len(said) == 1 or value == "0.5"


def test_an_empty_variable_is_not_blamed_for_the_file(monkeypatch):
    """For it doesn't count."""
    monkeypatch.setenv("BOT_ANSWER__THRESHOLD", "")
    assert problems("[answer]\nthreshold = 2\n")[0].startswith("bot.toml line 2: answer.threshold:")


def test_all_mistakes_are_reported_at_once(monkeypatch):
    """From the file and the environment, so that one start is enough to find them."""
    monkeypatch.setenv("BOT_QUEUE__PARALLEL", "-1")
    monkeypatch.setenv("BOT_WRONG", "x")
    said = problems("[answer]\nthreshold = 2\nthis = 1\n[log]\nlevel = 1\n[nothing]\n")
    assert len(said) == 6
    for place in ("line 2: ", "line 3: ", "line 5: ", "line 6: ", "BOT_QUEUE__PARALLEL: ", "BOT_WRONG: "):
        assert sum(place in problem for problem in said) == 1


@pytest.mark.parametrize("path", ["missing.toml", "folder"])
def test_a_file_that_was_asked_for_must_be_there(path):
    """Otherwise a wrong path would silently mean the defaults."""
    Path("folder").mkdir()
    with pytest.raises(SettingsError) as raised:
        load_settings(Path(path))
    assert raised.value.problems == (f"{path}: there is no such settings file; check the path, or leave it out",)
