"""The process that reads files: a fault in it touches neither the bot nor the next file."""

import io
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from document_writers import WRITERS, parts_of

from bot.core.errors import DocumentError
from bot.knowledge.converter import Converter, Limits, OutOfTime


@pytest.fixture
def converter():
    with Converter(Limits(seconds=20, memory_bytes=512 * 2**20)) as converter:
        yield converter


def process_of(converter: Converter) -> psutil.Process:
    return psutil.Process(converter._process.pid)


def refusal(converter: Converter, path: str, content: bytes) -> str:
    with pytest.raises(DocumentError) as raised:
        converter.read(path, content)
    return str(raised.value)


def test_a_document_comes_back_as_it_was_read(converter):
    """Forms, headings, places, remarks and title pass from one process to the other."""
    from bot.knowledge.loaders import load

    markdown = b"---\ntitle: T\nurl: x\n---\n# H\n\n- a\n- b\n\n|a|b|\n|-|-|\n|1|2|\n\n## Empty\n"
    pairs = b'{"question": "When?", "answer": "Now \xe2\x9c\x93"}'
    for path, content in (("a.md", markdown), ("a.jsonl", pairs)):
        assert converter.read(path, content) == load(path, content)


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_read():
    """However deep in a library it hangs."""
    with Converter(Limits(seconds=1)) as converter:
        converter.read("a.md", b"x")  # started, so that only reading counts
        process = process_of(converter)
        message = refusal(converter, "a.md", b"*a_ " * 2_000_000 + b"\n\nx" * 300_000)
        assert message == "reading it takes longer than 1 second; divide it, or raise knowledge.convert_seconds"
        assert not process.is_running()
        assert converter.read("b.md", b"text").blocks


@pytest.mark.slow
def test_a_file_that_fills_the_memory_is_refused_and_the_bot_keeps_its_own():
    """Twenty megabytes of text need more than the limit; the bot itself hardly grows."""
    with Converter(Limits(seconds=100, memory_bytes=256 * 2**20)) as converter:
        before = psutil.Process().memory_info().rss
        message = refusal(converter, "big.md", b"some words of text\n\n" * 1_000_000)
        assert message == (
            "reading it takes more than 256 megabytes of memory; divide it, or raise knowledge.convert_megabytes"
        )
        assert psutil.Process().memory_info().rss - before < 100 * 2**20
        assert converter.read("b.md", b"text").blocks


def test_a_document_of_more_text_than_can_be_embedded_is_refused(converter):
    """With both numbers."""
    assert refusal(converter, "a.txt", b"word." * 2_500_000) == (
        "it holds 12,500,000 characters of text, and 10,000,000 are read at most; divide it into several files"
    )


def test_a_killed_reader_is_started_again(converter):
    """As a file does that crashes a library."""
    converter.read("a.md", b"x")
    process_of(converter).send_signal(signal.SIGSEGV)
    assert "crashed the reader" in refusal(converter, "a.md", b"x")
    assert converter.read("a.md", b"x").blocks


def test_a_stopped_reader_is_given_up_and_the_next_file_read(monkeypatch):
    """A signal stops its own clock too; the bot's goes on."""
    monkeypatch.setattr("bot.knowledge.converter._GRACE", 0.5)
    with Converter(Limits(seconds=1)) as converter:
        converter.read("a.md", b"x")
        process = process_of(converter)
        process.send_signal(signal.SIGSTOP)
        assert "takes longer than 1 second" in refusal(converter, "a.md", b"x" * 1_000_000)
        assert not process.is_running()
        assert converter.read("b.md", b"text").blocks


def test_many_slow_files_together_get_little_time(monkeypatch):
    """Each may take its whole time only while there is some left for slow ones; then it gets what its size explains."""
    monkeypatch.setattr("bot.knowledge.converter._USUAL_SECONDS_PER_MEGABYTE", 0.0)
    slow = b"*a_ " * 2_000_000 + b"\n\nx" * 300_000
    with Converter(Limits(seconds=20)) as converter:
        converter.read("a.md", b"x")
        converter._budget.left = 0.0
        with pytest.raises(
            OutOfTime, match=r"longer than 1.0 seconds, and other files that took very long .* the 40 seconds"
        ):
            converter.read("b.md", slow)
        assert converter._budget.left < 0


def test_closing_ends_what_another_thread_waits_for():
    """So that the bot stops at once, also while it reads."""
    converter = Converter(Limits(seconds=60))
    converter.read("a.md", b"x")
    process = process_of(converter)
    messages = []
    reading = threading.Thread(
        target=lambda: messages.append(refusal(converter, "a.md", b"*a_ " * 2_000_000 + b"\n\nx" * 300_000))
    )
    reading.start()
    time.sleep(0.3)
    converter.close()
    reading.join(5)
    assert messages == ["the indexing was stopped; it goes on with the next one"]
    assert not process.is_running()
    assert "stopped" in refusal(converter, "a.md", b"x")


def test_the_reader_ends_with_the_bot():
    """Also where the bot is killed: nothing is left behind."""
    script = (
        "import os, signal; from bot.knowledge.converter import Converter; c = Converter(); c.read('a.md', b'x'); "
        "print(c._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, timeout=30)
    process_id = int(done.stdout.split()[-1])
    until = time.monotonic() + 10
    while psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_broken_files_are_read_or_refused(converter, suffix):
    """A sample of what benchmarks/fuzzing.py does: cut off, or with bits flipped. Each has its outcome in time."""
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
    from fuzzing import broken

    whole = WRITERS[suffix](
        "Guide", parts_of("# Guide\n\nText.\n\n- a\n- b\n\n|a|b|\n|-|-|\n|1|2|\n\n```\ncode\n```\n" * 3)
    )
    outcomes = set()
    for content in broken(whole, 20, random.Random(7)):
        try:
            outcomes.add(bool(converter.read(f"a{suffix}", content).title))
        except DocumentError as error:
            outcomes.add("the reader has failed" not in str(error))
    assert outcomes == {True}


def test_a_spreadsheet_whose_compressed_parts_are_damaged_is_refused_with_the_fix(converter):
    """A bit is flipped in each part, also in those that only tell how cells look."""
    whole = WRITERS[".xlsx"](
        "Guide", parts_of("# Guide\n\n" + "".join(f"|a{n}|b|\n|-|-|\n|{n}|2|\n\n" for n in range(30)))
    )
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        places = [entry.header_offset + len(entry.filename) + 30 + 5 for entry in archive.infolist()]
    for place in places:
        damaged = bytearray(whole)
        damaged[place : place + 8] = b"\xff" * 8
        try:
            converter.read("a.xlsx", bytes(damaged))
        except DocumentError as error:
            assert "the reader has failed" not in str(error)
