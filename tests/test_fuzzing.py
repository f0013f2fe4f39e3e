"""Random questions, bodies, backups and documents: each has an outcome that is meant, in little time.

A hundred of each here, thousands with `make fuzz`. Messages of the platforms are in test_markup_from_outside; damaged files
of all formats, in the process that reads them, in benchmarks/fuzzing.py.
"""

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
import time
from pathlib import Path

import pytest
from adapters.http.http_application import HttpApplication
from hypothesis import given
from hypothesis import strategies as st

from bot.core import text as texts
from bot.core.errors import DocumentError, StorageError
from bot.engine import conversation, details, readable, several, small_talk
from bot.knowledge.loaders import LOADERS, load
from bot.storage.data_folder import restore
from tests.platforms.hostile import MESSAGES
from tests.platforms.markup_pieces import HOSTILE

pytestmark = pytest.mark.fuzz
LONGEST = 1.0  # seconds of computing
READERS = [
    several.questions_in,
    small_talk.new_subject,
    small_talk.without_courtesies,
    small_talk.asks_about_contents,
    small_talk.small_talk_reply,
    conversation.points_back,
    details.details,
    readable.readable,
    texts.plain,
    texts.sentences,
    texts.words,
    texts.content_words,
]


@given(st.one_of(HOSTILE, MESSAGES, st.builds(lambda text, count: text * count, HOSTILE, st.integers(1, 500))))
def test_every_question_is_read_in_no_time(text):
    """As long as the longest that is accepted; its questions are words of it."""
    text = text[:20_000]
    for read in READERS:
        began = time.process_time()
        read(text)
        assert time.process_time() - began < LONGEST, read
    questions = several.questions_in(text)
    assert all(question.removesuffix("?") in text for question in questions)


# --- bodies -----------------------------------------------------------------------------------------------------------

NAMES = "question user conversation model messages role content stream tools tool_choice response_format n type text".split()
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    HOSTILE,
    st.sampled_from(["user", "assistant", "system", "\ud800"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | JSON, "content": JSON}
)
BODIES = st.one_of(
    JSON,
    st.fixed_dictionaries({"question": JSON}, optional={"user": JSON, "conversation": JSON, "stream": JSON}),
    st.fixed_dictionaries(
        {"model": JSON, "messages": st.lists(MESSAGE, max_size=4)}, optional={"stream": JSON, "n": JSON}
    ),
)


def test_every_body_gets_a_response_that_is_meant(tmp_path):
    """Answered, or refused as the client's fault; never a fault of the server."""
    with asyncio.Runner() as runner:
        application = HttpApplication(tmp_path)
        runner.run(application.__aenter__())

        @given(BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=40), st.booleans())
        def check(content: bytes, openai: bool) -> None:
            path = "/v1/chat/completions" if openai else "/v1/answers"
            posted = application.client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert runner.run(posted).status_code in (200, 400, 404, 413, 422, 429)

        try:
            check()
        finally:
            runner.run(application.__aexit__(None, None, None))


# --- backups ----------------------------------------------------------------------------------------------------------

PLACES = [
    *"manifest.json journal.sqlite3 knowledge.sqlite3 terminal_history generators generators/a/config.json bot.lock".split(),
    *"../outside /outside journal.sqlite3/x . generators/../../outside".split(),
    "",
]
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
ENTRIES = st.lists(st.tuples(st.sampled_from(PLACES), KINDS, st.binary(max_size=50)), max_size=4)


def archive_of(entries: list[tuple[str, bytes, bytes]], manifest: object, honest: bool) -> bytes:
    """A backup of these (name, kind, content), with this manifest or, if `honest`, with the one that belongs to it."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, _, content in entries}
    first = json.dumps({"version": "1", "files": sums} if honest else manifest).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, content in (("manifest.json", tarfile.REGTYPE, first), *entries):
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), 1)


def there(place: Path) -> dict[str, bytes]:
    """The files below a folder, but for the lock."""
    files = (file for file in place.rglob("*") if file.is_file() and file.name != "bot.lock")
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


def test_no_archive_does_harm(tmp_path):
    """It is refused, and all is as it was, or its files are in the folder and nowhere else."""
    backup, data = tmp_path / "backup.tar.gz", tmp_path / "data"
    data.mkdir()
    (data / "terminal_history").write_text("typed")

    @given(ENTRIES, JSON, st.booleans(), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3))
    def check(entries, manifest, honest, flips) -> None:
        content = bytearray(archive_of(entries, manifest, honest))
        for place, value in flips:
            content[place % len(content)] ^= value
        backup.write_bytes(content)
        before = there(data)
        try:
            restore(backup, data)
        except StorageError:
            assert there(data) == before
        else:
            assert set(there(data)) > {name for name, _, _ in entries}
        assert {file.name for file in tmp_path.iterdir()} == {"backup.tar.gz", "data"}

    check()


# --- documents --------------------------------------------------------------------------------------------------------

TEXT_FORMATS = sorted(set(LOADERS) - {".pdf", ".docx", ".docm", ".pptx", ".xlsx", ".xlsm", ".xls", ".ods", ".epub"})
MARKS = st.sampled_from(
    [
        *"|a|b| |-|-| === --- - * 1. :::note ::: !!!note {% %} {{x}} .. :: :: |x| _x: [^1] [^1]: title: <!-- -->".split(),
        "<![CDATA[",
        *"<table> <tr> <td> </td> <details> <summary> <pre> <h1> </div> &#0; \\ud800 \\u0000".split(),
        *(".. code::", ".. include::/etc/passwd", ",", '","', "\t", ";", '{"question":', '"answer":', "[", "}", "]"),
    ]
)
SOURCES = st.lists(st.one_of(HOSTILE, MARKS, st.sampled_from(["\n", "\n\n", "    "])), max_size=25).map("".join)


@given(st.sampled_from(TEXT_FORMATS), SOURCES, st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_every_text_of_a_document_is_read_or_refused(suffix, text, encoding):
    """As text that can be stored, with its places."""
    try:
        document = load(f"a{suffix}", text.encode(encoding, "replace"))
    except DocumentError as error:
        assert str(error)
        return
    for block in document.blocks:
        assert "\n".join((block.text, block.context, document.title, *block.heading)).encode()
        lines = block.locator.lines
        assert lines is None or 1 <= lines[0] <= lines[1]
