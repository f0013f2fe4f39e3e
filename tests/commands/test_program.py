"""The program as a person uses it: its commands, and as real processes with real signals, a pseudo-terminal and kill -9."""

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.commands import common
from bot.core.settings import AnswerSettings
from tests.slowness import slowness

pytestmark = pytest.mark.timeout(300)  # a machine that does much else takes half a minute to start a process
GUIDE = "# Brewing guide\n\n## Water\n\nUse water at 92 to 96 degrees. It should be soft.\n"
QUESTION = "how hot should the water be?"
ANSWER = "Use water at 92 to 96 degrees."
PROMPT = "\x1b[?2004h"  # the terminal is told to mark pasted text: the prompt is ready
CURSOR_QUERY = "\x1b[6n"
# Processes start a few seconds sooner without the encoder, and again so without any model.
BY_WORDS = {"BOT_ENCODER__MODEL": "none"}
IMPORTABLE = {"PYTHONPATH": str(Path(__file__).parents[2])}
ECHO = ("-W", "ignore", "-m", "tests.platforms.serve", "-", "-", "echo")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to start the program in, with one document."""
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "guide.md").write_text(GUIDE)
    return tmp_path


def program(place: Path, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=place,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | BY_WORDS | environment,
    )


def test_help_is_there_at_once(place):
    """Nothing heavy is imported for it: half a second on a machine at rest.

    Measured as processor time, to be fair to a busy machine, and as the least of three.
    """
    spent = []
    for _ in range(3):
        before = os.times()
        done = program(place, "--help")
        after = os.times()
        assert done.returncode == 0
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert {"run", "chat", "ask", "search", "index", "evaluate"} <= set(
        re.findall(r"^  (\w+)", done.stdout, re.MULTILINE)
    )
    assert min(spent) < 0.5 * slowness()


def test_ask_prints_one_json_object_with_everything(place, command):
    """The fields that a script needs, with their types, and nothing else on standard output."""
    done = command("ask", "at what temperature should water be used?", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["outcome"] == "answered"
    assert answer["answered"] is True
    assert answer["answer"].startswith("Use water at **92 to 96 degrees**.")
    assert answer["span"] == "92 to 96 degrees"
    assert AnswerSettings().threshold <= answer["confidence"] <= 1
    [citation] = answer["citations"]
    assert citation == {
        "document": "guide.md",
        "title": "Brewing guide",
        "heading": ["Water"],
        "lines": [5, 5],
        "page": None,
        "row": None,
        "quote": "Use water at 92 to 96 degrees. It should be soft.",
        "url": None,
        "paragraph": None,
        "markup": "markdown",
        "number": None,
    }
    assert answer["timings_ms"]["total"] > 0
    assert answer["reference"]


def test_declining_and_small_talk_have_their_outcomes(place, command):
    """A script can tell them from answers."""
    declined = json.loads(command("ask", "who won the football match?", "--json").stdout)
    assert (declined["outcome"], declined["answered"], declined["span"]) == ("declined", False, None)
    hello = json.loads(command("ask", "hello", "--json").stdout)
    assert (hello["outcome"], hello["answered"]) == ("small_talk", False)


def test_index_reports_every_file(place, command):
    """As a table for people and as JSON for scripts."""
    (place / "knowledge" / "broken.json").write_text("{")
    report = json.loads(command("index", "--json").stdout)
    assert report["passages"] == 1
    assert [file["path"] for file in report["files"]] == ["broken.json", "guide.md"]
    text = command("index").stdout
    assert text.startswith("broken.json:\n  not valid JSON")
    assert "\n       1  guide.md\n" in text
    assert "0 passages embedded" in text


def test_index_folds_what_it_says_again_and_again(place, command):
    """What could not be read first, in lines of 80 characters in which no path is cut."""
    folder = place / "knowledge" / "a-folder-with-a-long-name" / "and-another-one-below-it-with-a-longer-name"
    folder.mkdir(parents=True)
    for number in range(7):
        (folder / f"{number}.md").write_text(
            f"# Title {number}\n\n## Empty {number}\n\n## Full {number}\n\nText {number}.\n"
        )
    (folder / "old.doc").write_text("x")
    text = command("index", COLUMNS="80").stdout
    path = folder.relative_to(place / "knowledge").as_posix()
    assert text.startswith(f"{path}/old.doc:\n  this format isn't read; save it as DOCX.\n")
    assert "7 times: there is no text below the heading … (…)." in text
    assert f"\n  {path}/0.md: “Empty 0”, line 3\n" in text
    assert "  and 2 more; all of them: knowledge-bot index --json\n" in text
    assert all(len(line) <= 80 or path in line for line in text.splitlines())


def test_progress_is_told_line_by_line_where_it_is_written_to_a_file(monkeypatch, capsys):
    """Every ten seconds, so that a log is not filled."""
    moments = iter([0.0, 3.0, 12.0, 15.0, 23.0])
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    with common.progress_bar("Indexing passages", lines=True) as show:
        for done in (1, 2, 3, 4):
            show(done, 4)
    assert capsys.readouterr().err == "Indexing passages: 2 of 4\nIndexing passages: 4 of 4\n"


def test_index_shows_what_is_read_in_a_file(place, command):
    """With places, for people and for scripts; a file of the knowledge folder or any other. Nothing is indexed."""
    (place / "knowledge" / "boats.csv").write_text("Boat,Berth\nHeron,7\n")
    (place / "notes.md").write_text("# Notes\n\nMind the tide.\n")
    told = command("index", "--show", "boats.csv").stdout
    assert "Title: Boats" in told
    assert "row 1, table: Boats\n  | Boat | Berth |" in told
    shown = json.loads(command("index", "--show", "notes.md", "--json").stdout)
    assert [(block["text"], block["place"]) for block in shown["blocks"]] == [("Mind the tide.", "line 3")]
    missing = command("index", "--show", "none.md")
    assert missing.returncode == 1
    assert "none.md can't be read" in missing.stderr
    assert not (place / "data").exists()


def test_search_shows_passages_with_scores(place, command):
    """The passages that the engine works from."""
    [found] = json.loads(command("search", "water", "-k", "3", "--json").stdout)
    assert (found["document"], found["lines"]) == ("guide.md", [5, 5])
    assert 0 < found["cosine"] <= 1


def test_evaluate_measures_a_folder(place, command):
    """With the operator's own documents and questions, leaving the bot's own index alone."""
    lines = [{"question": QUESTION, "doc_id": "guide.md", "answers": [ANSWER]}, {"question": "who won?", "answers": []}]
    (place / "questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = command(
        *("evaluate", "--knowledge", "knowledge", "--questions", "questions.jsonl"),
        *("--predictions", "out.jsonl", "--report", "report"),
    )
    assert done.returncode == 0, done.stderr
    assert "hit@1" in done.stdout
    predictions = [json.loads(line) for line in (place / "out.jsonl").read_text().splitlines()]
    assert [prediction["answered"] for prediction in predictions] == [True, False]
    assert predictions[0]["retrieved"] == ["guide.md"]
    assert "<svg" in (place / "report" / "index.html").read_text()
    assert not (place / "data").exists()


def test_a_pipe_is_answered_line_by_line(place):
    """Answers on standard output, nothing of the log between them."""
    done = program(place, "chat", stdin=f"{QUESTION}\nthanks\n")
    assert done.returncode == 0
    assert ANSWER in done.stdout
    assert "You're welcome!" in done.stdout
    assert done.stderr == ""


def test_bytes_that_are_no_text_hurt_nothing(place, command):
    """In a pipe or as an argument they become question marks, and the next question is answered."""
    lines = b"\xff\xfe what\n" + QUESTION.encode() + b"\n"
    done = subprocess.run(
        [sys.executable, *ECHO, "chat"],
        cwd=place,
        input=lines,
        capture_output=True,
        timeout=110,
        check=True,
        env=os.environ | BY_WORDS | IMPORTABLE,
    )
    assert f"You asked: {QUESTION}" in done.stdout.decode()
    assert command("ask", "\udcff\udcfe what").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["ask", "x", "--config", "nowhere.toml"], 2, "nowhere.toml: there is no such settings file"),
        (["ask"], 2, "Missing argument"),
        (["evaluate", "--questions", "knowledge/guide.md"], 2, "--documents or --knowledge"),
        (["evaluate", "--questions", "knowledge/guide.md", "--knowledge", "knowledge"], 1, "guide.md"),
        (["index", "--config", "knowledge"], 2, "knowledge: there is no such settings file"),
    ],
)
def test_wrong_use_is_one_message_and_an_exit_code(place, command, arguments, code, told):
    """Never a traceback."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_all_wrong_settings_are_told_at_once(place, command):
    """With file, line and key."""
    (place / "bot.toml").write_text("[answer]\nthreshold = 2\n\n[knowlege]\nfolder = 'x'\n")
    done = command("ask", "x", BOT_QUEUE__CAPACITY="none")
    assert done.returncode == 2
    assert "bot.toml line 2: answer.threshold" in done.stderr
    assert "bot.toml line 4: knowlege: there is no such setting; did you mean knowledge?" in done.stderr
    assert "environment variable BOT_QUEUE__CAPACITY" in done.stderr


def test_a_missing_folder_and_missing_weights_are_told_with_the_fix(place, command):
    """The first mistakes of a newcomer."""
    done = command("ask", "x", BOT_KNOWLEDGE__FOLDER="elsewhere")
    assert (done.returncode, "knowledge.folder" in done.stderr) == (1, True)
    done = command("ask", "x", BOT_ENCODER__MODEL="nobody/nothing")
    assert (done.returncode, "models.auto_download" in done.stderr) == (1, True)


def test_a_damaged_database_is_told_with_its_file(place, command):
    """And is left as it is."""
    (place / "data").mkdir()
    (place / "data" / "journal.sqlite3").write_text("this is no database, but quite a long text" * 100)
    done = command("ask", QUESTION)
    assert done.returncode == 1
    assert "journal.sqlite3" in done.stderr
    assert "--set-damaged-aside" in done.stderr
    assert "Traceback" not in done.stderr


# --- at a terminal ----------------------------------------------------------------------------------------------------


class Person:
    """Somebody at a pseudo-terminal in which the program runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.seen = ""

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def waits_for(self, text: str, seconds: float = 90) -> None:
        """Read the screen until the text has come since the last wait."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < until, f"{text!r} did not come; the screen says: {self.seen[-2000:]!r}"
            self._read()
        self.seen = self.seen[self.seen.index(text) + len(text) :]

    def sees_the_end(self, seconds: float = 90) -> int:
        """The exit status."""
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < until, f"the program does not end; the screen says: {self.seen[-2000:]!r}"
            self._read()
        return self.process.returncode

    def _read(self) -> None:
        ready, _, _ = select.select([self._terminal], [], [], 0.1)
        if ready:
            try:
                new = os.read(self._terminal, 65536).decode(errors="replace")
                if CURSOR_QUERY in new:  # a terminal answers this: row 1, column 1
                    self.types("\x1b[1;1R")
                self.seen += new
            except OSError:  # the program has closed its side
                time.sleep(0.05)


@contextmanager
def at_a_terminal(place: Path, *arguments: str, program: Sequence[str] = ("-m", "bot")) -> Iterator[Person]:
    person, program_side = pty.openpty()
    screen = {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=place,
        stdin=program_side,
        stdout=program_side,
        stderr=program_side,
        env=os.environ | BY_WORDS | IMPORTABLE | screen,
        start_new_session=True,
    )
    os.close(program_side)
    try:
        yield Person(process, person)
    finally:
        process.kill()
        process.wait()
        os.close(person)


def test_a_person_asks_and_leaves(place):
    """`run` without a platform is a conversation at the terminal."""
    with at_a_terminal(place, "run") as person:
        person.waits_for("1 document, 1 passage")
        person.waits_for(PROMPT)
        person.types(f"{QUESTION}\r")
        person.waits_for("92 to 96 degrees")
        person.waits_for("guide.md, line 5")
        person.waits_for(PROMPT)
        person.types("/quit\r")
        assert person.sees_the_end() == 0
        assert "Traceback" not in person.seen


@pytest.mark.parametrize(
    "ending", ["\x04", "\x03", signal.SIGTERM, signal.SIGINT], ids=["Ctrl-D", "Ctrl-C", "TERM", "INT"]
)
def test_every_way_out_leaves_cleanly(place, ending):
    """By the keys of a terminal, and by the signals of a service manager."""
    with at_a_terminal(place, "run", program=ECHO) as person:
        person.waits_for(PROMPT)
        if isinstance(ending, str):
            person.types(ending)
        else:
            person.process.send_signal(ending)
        assert person.sees_the_end() == 0
        assert "Traceback" not in person.seen


def test_the_arrow_keys_bring_back_what_was_typed(place):
    """Also what was typed in an earlier run; the file is for its owner only."""
    for typed in (f"{QUESTION}\r", "\x1b[A\r"):
        with at_a_terminal(place, "chat", program=ECHO) as person:
            person.waits_for(PROMPT)
            person.types(typed)
            person.waits_for(f"You asked: {QUESTION}")
            person.waits_for(PROMPT)
            person.types("\x04")
            assert person.sees_the_end() == 0
    assert (place / "data" / "terminal_history").stat().st_mode & 0o077 == 0


def test_two_bots_do_not_share_a_data_folder(place):
    """Both would answer what a third one left undone; asking once beside a running bot is fine."""
    with at_a_terminal(place, "run", program=ECHO) as person:
        person.waits_for(PROMPT)
        second = program(place, "chat")
        assert second.returncode == 1
        assert "Another bot is running" in second.stderr
        assert program(place, "ask", QUESTION).returncode == 0


def test_what_kill_9_left_unanswered_is_answered_at_the_next_start(place, command):
    """A question in the journal survives the hardest stop, and its texts are erased once it is answered."""
    assert command("index", **BY_WORDS).returncode == 0
    with at_a_terminal(place, "chat", program=ECHO) as person:
        person.waits_for(PROMPT)
        _hold_journal_after_acceptance(place, person)
    assert [text for (text,) in _journal(place)] != [None]
    done = program(place, "chat", stdin="")
    assert f"> {QUESTION}" in done.stdout
    assert ANSWER in done.stdout
    assert [text for (text,) in _journal(place)] == [None]


def _hold_journal_after_acceptance(place: Path, person: Person) -> None:
    """Ask, and kill the program as soon as the journal has the question."""
    os.kill(person.process.pid, signal.SIGSTOP)
    person.types(f"{QUESTION}\r")
    for _ in range(10_000):
        os.kill(person.process.pid, signal.SIGCONT)
        time.sleep(0.001)
        os.kill(person.process.pid, signal.SIGSTOP)
        if _journal(place):
            break
    os.kill(person.process.pid, signal.SIGKILL)
    person.process.wait()


def _journal(place: Path) -> list[tuple[str | None]]:
    connection = sqlite3.connect(place / "data" / "journal.sqlite3")
    try:
        return connection.execute("SELECT question FROM questions").fetchall()
    finally:
        connection.close()


# --- documents --------------------------------------------------------------------------------------------------------


def test_index_checks_the_documents(place, command):
    """Each fault comes with its place: for the changed files in the report, for all of them with --check."""
    (place / "knowledge" / "copy.txt").write_text("Use water at 92 to 96 degrees. It should be soft.\n")
    (place / "knowledge" / "picture.png").write_bytes(b"\x89PNG")
    said = "guide.md, line 5: says nearly the same as copy.txt, line 1: keep one of them."
    first = " ".join(command("index").stdout.split())
    assert said in first
    assert "Passed over, because their formats aren't read: 1 .png." in first
    assert json.loads(command("index", "--json").stdout)["findings"] == []
    [finding] = json.loads(command("index", "--check", "--json").stdout)["findings"]
    assert (finding["document"], finding["place"]) == ("guide.md", "line 5")


def test_golden_questions_guard_the_index(place, command):
    """A worse index is refused with what got worse and exit code 1, until it is accepted."""
    golden = {"question": QUESTION, "answers": ["92 to 96 degrees"]}
    (place / "knowledge" / "golden.jsonl").write_text(json.dumps(golden))
    assert "1 of 1 golden question is answered as expected." in command("index").stdout
    (place / "knowledge" / "guide.md").write_text(GUIDE.replace("92 to 96", "50 to 60"))
    refused = command("index")
    assert refused.returncode == 1
    assert "Got worse: “how hot should the water be?”" in refused.stderr
    assert "passages" in refused.stdout
    accepted = command("index", "--accept")
    assert accepted.returncode == 0
    assert "0 of 1 golden question is answered as expected." in accepted.stdout


def test_a_running_chat_answers_from_what_was_just_written(place):
    """The folder is watched: nobody has to start anything again."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "chat"],
        cwd=place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | BY_WORDS | {"BOT_LOG__LEVEL": "debug"},
    )
    assert process.stdin is not None and process.stderr is not None
    seen = ""
    for line in process.stderr:
        if '"started"' in line:
            break
    time.sleep(1)
    (place / "knowledge" / "milk.md").write_text("# Milk\n\nFoam the milk at 65 degrees.\n")
    for line in process.stderr:
        seen += line
        if '"index renewed"' in line:
            break
    answers, _ = process.communicate("how hot should the milk be?\n", timeout=110)
    assert '"changed": 1' in seen
    assert "Foam the milk at 65 degrees." in answers


def test_an_index_that_is_there_answers_while_it_is_brought_up_to_date(place, command):
    """A person at the terminal doesn't wait for the documents that have changed; they get in meanwhile."""
    command("index", **BY_WORDS)
    for number in range(60):
        (place / "knowledge" / f"{number}.md").write_text(
            f"# Animal {number}\n\nAnimal number {number} eats apples. " * 3
        )
    with at_a_terminal(place, "chat") as person:
        person.waits_for(PROMPT)
        person.types(f"{QUESTION}\r")
        person.waits_for("92 to 96 degrees")
        person.types("/quit\r")
        assert person.sees_the_end() == 0
