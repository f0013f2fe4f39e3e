"""The handbook in knowledge/, the example settings and the README, held against the program: both must say the same."""

import inspect
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
import typer.main
from markdown_it import MarkdownIt
from markdown_it.token import Token
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bot import __version__
from bot.adapters import terminal
from bot.adapters.discord import rendering
from bot.adapters.discord import tasks as discord_tasks
from bot.adapters.discord.actions import Actions
from bot.adapters.discord.commands import command_tree
from bot.adapters.http import answers_router, ask_page, openai_router, tasks_router
from bot.adapters.http import incoming as http_incoming
from bot.adapters.telegram import incoming, polling
from bot.adapters.telegram.menus import menus
from bot.cli import app
from bot.core.documents import Document, Form
from bot.core.settings import ENVIRONMENT_PREFIX, Settings, all_settings, load_settings, source_settings
from bot.engine import compose, qa
from bot.evaluation import calibration
from bot.evaluation.questions import load_questions
from bot.http import limits
from bot.inference import span_model
from bot.knowledge import search
from bot.knowledge.loaders import LOADERS, load
from bot.observability import metrics
from bot.questions import administration, queue
from bot.runtime import readiness
from bot.tasks import extract
from bot.tasks.registry import TASKS
from bot.training.reader import ReaderTraining

ROOT = Path(__file__).parent.parent
HANDBOOK = ROOT / "knowledge"
EXAMPLE = ROOT / "bot.example.toml"
SETTINGS = {f"{section}.{key}": default for section, key, default, _ in (*all_settings(), *source_settings())}
CLI: Any = typer.main.get_command(app)  # Any: its types are those of the click that typer brings along

# What people send to @BotFather.
_OF_BOTFATHER = frozenset({"/newbot", "/setprivacy", "/setinline"})

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_DEFAULT_LINE = re.compile(r"^# ?(?=[a-z_]+ = )", re.MULTILINE)


# --- what stands in the documents -------------------------------------------------------------------------------------


def files() -> list[Path]:
    return sorted(path for path in HANDBOOK.rglob("*") if path.is_file())


def documents() -> dict[str, Document]:
    return {path.name: load(path.relative_to(HANDBOOK).as_posix(), path.read_bytes()) for path in files()}


def pages(*, readme: bool = False) -> dict[Path, str]:
    """The Markdown of the handbook, and of the README where there is one."""
    paths = [*HANDBOOK.rglob("*.md"), *((ROOT / "README.md",) if readme else ())]
    return {path: path.read_text(encoding="utf-8") for path in sorted(paths) if path.is_file()}


def texts() -> Iterator[tuple[str, str]]:
    """(where it stands, Markdown) of every page, of the README and of every stored answer."""
    for path, text in pages(readme=True).items():
        yield path.name, text
    for name, document in documents().items():
        for block in document.blocks:
            if block.form is Form.PAIR:
                yield f"{name} row {block.locator.row}", block.text


def tokens(text: str) -> Iterator[Token]:
    for token in _MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def spans(text: str) -> list[str]:
    return [token.content for token in tokens(text) if token.type == "code_inline"]


def code(text: str) -> Iterator[str]:
    """Every code span, and every line of every code block."""
    yield from spans(text)
    for token in tokens(text):
        if token.type in ("fence", "code_block"):
            yield from token.content.splitlines()


def fences(page: str, language: str) -> list[str]:
    found = [token for token in tokens(page) if token.type == "fence" and token.info.strip() == language]
    return [token.content for token in found]


def headings(page: str) -> list[tuple[str, str]]:
    """(tag, text without markup) of every heading."""
    parsed = _MARKDOWN.parse(page)
    return [
        (token.tag, "".join(part.content for part in parsed[place + 1].children or ()))
        for place, token in enumerate(parsed)
        if token.type == "heading_open"
    ]


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def commands_shown() -> Iterator[tuple[str, str | None, list[str]]]:
    """(where, command or None, options) of each call of the program in code."""
    for where, text in texts():
        for line in code(text):
            for match in re.finditer(r"\bknowledge-bot((?: +[^\s<>|]+)*)", line):
                said = match.group(1).split()
                command = said[0] if said and re.fullmatch(r"[a-z][a-z-]*", said[0]) else None
                options = [word.partition("=")[0] for word in said if re.match(r"--?[a-z]", word)]
                yield f"{where}: {line}", command, options


def options_of(command: str | None) -> set[str]:
    found = CLI if command is None else CLI.commands[command]
    subcommands = getattr(found, "commands", {}).values() if command is not None else ()
    params = [param for one in (found, *subcommands) for param in one.params]
    names = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    return {"--help"} | {name for name in names if name.startswith("-")}


# --- the documents themselves -----------------------------------------------------------------------------------------


def test_there_are_a_dozen_documents_each_with_one_title() -> None:
    """Every page begins with the only heading of its first level, and no two pages have the same."""
    titles = []
    for path, text in pages().items():
        found = headings(text)
        assert [tag for tag, _ in found].count("h1") == 1 and found[0][0] == "h1", f"{path.name}: one title, at the top"
        assert documents()[path.name].title == found[0][1]
        titles.append(found[0][1])
    assert len(titles) >= 12
    assert len(set(titles)) == len(titles)


def test_every_file_of_the_handbook_is_read_without_warnings() -> None:
    """The bot reads all that ships in knowledge/ and finds nothing to remark."""
    for path in files():
        assert path.suffix in LOADERS, f"{path.name} would be passed over"
        document = documents()[path.name]
        assert document.blocks, path.name
        assert document.warnings == (), path.name


def test_stored_questions_are_asked_once_each() -> None:
    """There are some two dozen stored pairs, and no question stands there twice."""
    pairs = [block for document in documents().values() for block in document.blocks if block.form is Form.PAIR]
    assert len(pairs) >= 20
    assert [question for question, count in Counter(pair.context.lower() for pair in pairs).items() if count > 1] == []


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link names a file that exists and, where it has an anchor, a heading of that file."""
    broken = []
    for path, text in pages(readme=True).items():
        targets = [str(token.attrs["href"]) for token in tokens(text) if token.type == "link_open"]
        for target in targets:
            if re.match(r"[a-z]+:", target):
                continue
            name, _, wanted = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists():
                broken.append(f"{path.name}: {target}: no such file")
            elif wanted and wanted not in {anchor(heading) for _, heading in headings(file.read_text())}:
                broken.append(f"{path.name}: {target}: no such heading")
    assert broken == []


def test_every_page_is_listed_on_the_first_one() -> None:
    """about.md links to every other page, so that nobody has to guess what there is."""
    about = pages()[HANDBOOK / "about.md"]
    linked = {str(token.attrs["href"]) for token in tokens(about) if token.type == "link_open"}
    assert {path.name for path in pages()} - linked - {"about.md"} == set()


def test_the_handbook_speaks_of_this_version() -> None:
    """A version that is named is the one that the handbook ships with."""
    named = {match for _, text in texts() for match in re.findall(r"\b[Vv]ersion\s+(\d+\.\d+\.\d+)", text)}
    assert named == {__version__}


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_table() -> list[list[str]]:
    """The rows (setting, default, meaning) of all tables of settings on the configuring page."""
    rows: list[list[str]] = []
    inside = False
    for line in pages()[HANDBOOK / "configuring.md"].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells == ["Setting", "Default", "Meaning"]:
            inside = True
        elif not cells:
            inside = False
        elif inside and not re.fullmatch(r"[-|: ]+", line):
            rows.append(cells)
    return rows


def plain_default(default: object) -> object:
    if default is None:
        return ""  # TOML knows no null; empty means the same
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, Path) else default


def test_the_configuring_page_has_every_setting_with_its_default_and_no_other() -> None:
    """The tables of settings are complete, and each default is the real one, written as in bot.toml."""
    rows = settings_table()
    assert [name for name, count in Counter(row[0] for row in rows).items() if count > 1] == []
    documented = {row[0].strip("`"): tomllib.loads(f"value = {row[1].strip('`')}")["value"] for row in rows}
    assert documented == {name: plain_default(default) for name, default in SETTINGS.items()}
    assert [row[0] for row in rows if len(row) != 3 or not row[2]] == []


def test_every_setting_that_is_named_exists() -> None:
    """`section.key` in a code span, and BOT_SECTION__KEY anywhere, name settings that there are."""
    unknown = []
    for where, text in texts():
        for span in spans(text):
            for section, key in re.findall(r"(?<![\w./-])([a-z_]+)\.([a-z_]+)(?![\w(/])", span):
                if section in Settings.model_fields and f"{section}.{key}" not in SETTINGS:
                    unknown.append(f"{where}: {section}.{key}")
        for variable in re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+__[A-Z_]+\b", text):
            if variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".", 1) not in SETTINGS:
                unknown.append(f"{where}: {variable}")
    assert unknown == []


def test_every_example_of_a_settings_file_is_valid(tmp_path: Path) -> None:
    """Whoever copies a piece of TOML from a page gets a settings file that the bot accepts."""
    examples = [fence for text in pages(readme=True).values() for fence in fences(text, "toml")]
    assert examples
    for example in examples:
        file = tmp_path / "bot.toml"
        file.write_text(example, encoding="utf-8")
        load_settings(file)


def test_the_example_file_as_it_is_changes_nothing(tmp_path: Path) -> None:
    """A copy of bot.example.toml is valid and leaves every default."""
    assert loaded(EXAMPLE.read_text(encoding="utf-8"), tmp_path) == loaded("", tmp_path)


def test_the_example_file_has_every_setting_once_with_its_default(tmp_path: Path) -> None:
    """With every line of a default uncommented, the file says each default and nothing else. A source needs a name as well."""
    text, count = _DEFAULT_LINE.subn("", EXAMPLE.read_text(encoding="utf-8"))
    sections, _, source = text.partition("# [[sources]]\n")
    told = {**tomllib.loads(sections), "sources": tomllib.loads(source)}
    said = {f"{section}.{key}": value for section, values in told.items() for key, value in values.items()}
    assert count == len(SETTINGS)
    assert said == {name: plain_default(default) for name, default in SETTINGS.items()}
    assert loaded(sections, tmp_path) == loaded("", tmp_path)


def test_the_example_file_explains_every_setting() -> None:
    """Above each default stands the help of the setting, word for word."""
    paragraphs = EXAMPLE.read_text(encoding="utf-8").replace("]\n", "]\n\n").split("\n\n")
    explained = []
    for paragraph in paragraphs:
        *explanation, default = paragraph.strip().split("\n")
        explained.append((default, " ".join(line.removeprefix("# ") for line in explanation)))
    for section, key, _, explanation in (*all_settings(), *source_settings()):
        assert explanation in [text for line, text in explained if line.startswith(f"# {key} = ")], (
            f"{section}.{key}: the help has changed; write it into bot.example.toml"
        )


def test_every_setting_says_when_to_change_it() -> None:
    """A sentence of its help begins with what to do. A setting that nobody has a reason to change is a constant."""
    advice = re.compile(r"[.:;] (?:Change|Choose|Lower|Raise|Set|Turn)\b")
    settings = (*all_settings(), *source_settings())
    assert [f"{section}.{key}" for section, key, _, explanation in settings if not advice.search(explanation)] == []


def loaded(text: str, folder: Path) -> Settings:
    file = folder / "bot.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


NUMBERS_IN_PROSE = [
    ("administration.md", "The latest {most_declined} declined questions"),
    ("asking.md", "the last {conversation.turns} answered questions"),
    ("asking.md", "The bot remembers what was said in a conversation for {minutes:g} minutes"),
    ("asking.md", "{queue.parallel} of them at a time"),
    ("asking.md", "Up to {queue.capacity} questions can be asked at once"),
    ("asking.md", "The timeout of a question is {queue.deadline_seconds:g} seconds"),
    ("asking.md", "up to {longest_question} characters"),
    ("asking.md", "when more than {late:g} seconds have passed"),
    ("discord.md", "where more than {most_parts} were needed"),
    ("privacy.md", "its answer are kept for {storage.answer_days:g} days"),
    ("citations.md", "counts as short up to {longest_answer} characters"),
    ("declining.md", "from {answer.threshold:g} on, and suggests a section from {answer.suggest_threshold:g} on"),
    ("evaluating.md", "at least {fewest} right and {fewest} wrong answers"),
    ("http.md", "takes questions by HTTP at {http.host}, port {http.port}"),
    ("http.md", "has more than {largest_body} bytes"),
    ("http.md", "no answer within {http_wait:g} seconds"),
    ("how-it-works.md", "keeps the best {found}"),
    ("how-it-works.md", "takes those of the best {answer.read_passages} passages"),
    ("how-it-works.md", "Meaning counts for {meaning:g} percent"),
    ("models.md", "made of single sentences: {training.sentence_examples} by default"),
    ("models.md", "with real paragraphs: {training.paragraph_examples} by default"),
    ("operating.md", "after {stuck:g} seconds another thread takes over"),
    ("operating.md", "up to {shutdown.grace_seconds:g} seconds to finish"),
    ("privacy.md", "is kept for {storage.answer_days:g} days"),
    ("privacy.md", "is erased after {storage.answer_days:g} days"),
    ("privacy.md", "A conversation is no longer used after {minutes:g} minutes"),
    ("tasks.md", "quotes {fewest_sentences} to {most_sentences} sentences of the text"),
    ("tasks.md", "{default_messages} by default and {most_messages} at most"),
    ("tasks.md", "takes up to {task[summarise].characters:,} characters"),
    ("tasks.md", "`translate` up to {task[translate].characters:,}"),
    ("tasks.md", "the other tasks up to {task[entities].characters:,}"),
    ("telegram.md", "longer than {stale:g} seconds is answered with a word of regret"),
    ("telegram.md", "after its time, which is {poll} seconds"),
    ("tokens.md", "The maximum length of a passage is {knowledge.passage_tokens} tokens"),
    ("tokens.md", "up to {most_words} different words"),
    ("tokens.md", "in windows of {reader_window} tokens"),
    ("tokens.md", "the first {reader_question} tokens of a question"),
    ("tokens.md", "may be up to {reader_answer} tokens long"),
]


@pytest.mark.parametrize(("page", "sentence"), NUMBERS_IN_PROSE)
def test_numbers_in_sentences_are_those_of_the_program(page: str, sentence: str) -> None:
    """A sentence that says a number says the one that the program has, with the default settings."""
    settings = Settings()
    expected = sentence.format(
        **{section: getattr(settings, section) for section in Settings.model_fields},
        minutes=settings.conversation.expire_seconds / 60,
        meaning=100 * settings.retrieval.dense_weight,
        longest_question=qa._MAX_QUESTION_LENGTH,
        largest_body=limits.LARGEST_BODY,
        late=queue._LATE,
        most_parts=rendering._MOST_PARTS,
        poll=polling.POLL_SECONDS,
        stale=incoming._STALE,
        http_wait=settings.queue.deadline_seconds + http_incoming._FOR_LOADING,
        longest_answer=compose.ANSWER_LENGTH.longest,
        most_words=search._MAX_WORDS,
        found=search.FOUND,
        stuck=readiness._DEADLINES_UNTIL_STUCK * settings.queue.deadline_seconds,
        most_declined=administration._MOST_DECLINED,
        fewest=calibration._MIN_ANSWERS,
        training=ReaderTraining(),
        task=TASKS,
        fewest_sentences={2: "two"}[extract.FEWEST],
        most_sentences={7: "seven"}[extract.MOST],
        default_messages=discord_tasks._MESSAGES,
        most_messages=discord_tasks._MOST_MESSAGES,
        reader_window=span_model._WINDOW,
        reader_question=span_model._LONGEST_QUESTION,
        reader_answer=span_model._LONGEST_ANSWER,
    )
    assert expected in " ".join(pages()[HANDBOOK / page].split())


# --- commands ---------------------------------------------------------------------------------------------------------


def test_every_command_is_documented() -> None:
    """Each command of the program is shown in the handbook, with each of its options."""
    shown = {command for _, command, _ in commands_shown()}
    assert set(CLI.commands) - shown == set()
    words = {word for _, text in texts() for span in code(text) for word in span.split()}
    assert {option for command in (None, *CLI.commands) for option in options_of(command)} - words == set()


def test_every_command_that_is_shown_exists() -> None:
    """Each call of the program in code names a command that there is, with options that this command has."""
    wrong = []
    for where, command, options in commands_shown():
        if command is not None and command not in CLI.commands:
            wrong.append(f"{where}: no command {command}")
        else:
            unknown = set(options) - options_of(command) - options_of(None)
            wrong += [f"{where}: no option {option}" for option in sorted(unknown)]
    assert wrong == []


def test_every_option_that_is_named_exists() -> None:
    """A code span that is an option names one that some command has."""
    known = {option for command in (None, *CLI.commands) for option in options_of(command)}
    named = {(where, span) for where, text in texts() for span in spans(text) if re.fullmatch(r"--?[a-z][a-z-]*", span)}
    assert {(where, option) for where, option in named if option not in known} == set()


def test_the_commands_of_the_terminal_are_documented_and_exist() -> None:
    """The pages on the terminal and /help name the same commands."""
    helped = set(re.findall(r"`(/[a-z]+)`", terminal._HELP))
    documented = {
        span
        for name in ("terminal.md", "asking.md")
        for span in spans(pages()[HANDBOOK / name])
        if re.fullmatch(r"/[a-z]+", span)
    }
    assert helped
    assert documented == helped


def test_the_commands_of_telegram_are_documented() -> None:
    """Those in the menus, and those for operators."""
    named = {f"/{command.command}" for _, _, menu in menus(frozenset({"1"})) for command in menu}
    documented = {span.split()[0] for span in spans(pages()[HANDBOOK / "telegram.md"]) if span.startswith("/")}
    assert documented - _OF_BOTFATHER - {"/start", "/telegram"} == named


async def test_the_commands_of_discord_are_documented_and_exist() -> None:
    """The page on Discord names every command, and no other."""
    actions = SimpleNamespace(backend=SimpleNamespace(settings=Settings()))
    tree = command_tree(discord.Client(intents=discord.Intents.none()), cast(Actions, actions))
    there = {f"/{command.qualified_name}" for command in tree.walk_commands() if not hasattr(command, "walk_commands")}
    named = [span for span in spans(pages()[HANDBOOK / "discord.md"]) if re.fullmatch(r"/[a-z]+( [a-z]+)?", span)]
    assert set(named) - {"/bot"} == there


def test_every_metric_is_documented_and_exists() -> None:
    """The page on monitoring has what `/metrics` shows, and nothing else."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    shown = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    ours = {name for name in shown if name.startswith("knowledge_bot")}
    named = {
        name for span in spans(pages()[HANDBOOK / "monitoring.md"]) for name in re.findall(r"\bknowledge_bot_\w+", span)
    }
    assert named == ours
    assert "process_resident_memory_bytes" in shown


def test_every_address_of_the_http_server_is_documented_and_exists() -> None:
    """The table of addresses has those of the description, and the page."""
    [*routers] = (router(cast(Any, None)) for router in (answers_router, openai_router, tasks_router))
    api = {route.path for router in routers for route in cast(Any, router).routes} - {"/v1/models/{model}"}
    table = set(re.findall(r"^\| `[A-Z]+ ([^`]+)`", pages()[HANDBOOK / "http.md"], re.MULTILINE))
    assert table == api | {"/health/live", "/health/ready", "/metrics", "/docs", ask_page.PATH}


# --- examples and messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["csv", "json", "jsonl"])
def test_examples_of_pairs_are_read_as_pairs(language: str) -> None:
    """The example of each format holds the two pairs that the page says."""
    [example] = fences(pages()[HANDBOOK / "formats.md"], language)
    document = load(f"example.{language}", example.encode())
    assert [block.form for block in document.blocks] == [Form.PAIR, Form.PAIR]
    assert document.warnings == ()


def test_the_example_of_an_evaluation_is_right(tmp_path: Path) -> None:
    """The questions file on the evaluating page is valid, and its answers stand in the documents that it names."""
    [example] = fences(pages()[HANDBOOK / "evaluating.md"], "jsonl")
    file = tmp_path / "questions.jsonl"
    file.write_text(example, encoding="utf-8")
    questions = load_questions(file)
    assert len(questions) == 3
    for question in questions:
        for name in question.doc_ids:
            page = " ".join(pages()[HANDBOOK / name].split())
            assert all(answer in page for answer in question.answers or ()), question.question


def test_every_message_in_troubleshooting_is_one_of_the_program() -> None:
    """Each message quoted on the page stands in the source, up to the values that are filled in."""
    page = " ".join(pages()[HANDBOOK / "troubleshooting.md"].split())
    quoted = [
        fragment.strip()
        for first, second in re.findall(r'(?:message|remark)s? "([^"]+)"(?: and "([^"]+)")?', page)
        for fragment in re.split(r"\.\.\.|\d\d+", f"{first}...{second}")
        if fragment.strip()
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "bot").rglob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source) + (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(quoted) > 30
    assert [fragment for fragment in quoted if fragment not in source] == []


def test_the_adapter_shows_the_help_that_is_tested() -> None:
    """The text that the documented commands are compared with is the one that /help prints."""
    assert "_HELP" in inspect.getsource(terminal.TerminalAdapter._command)
