"""Exports of other programs as sources: the documents that come from real layouts, and hostile archives."""

import asyncio
import io
import json
import zipfile
from pathlib import Path

import pytest

from bot.core.documents import Form
from bot.core.errors import SourceError
from bot.core.settings import Settings
from bot.knowledge.converter import Converter
from bot.knowledge.places import Places
from bot.sources.fetching import Fetcher, seconds_until_due
from tests.sources import export_writers as written
from tests.sources.export_writers import A, B, D, message, telegram, zipped

STAFF = "user700"


@pytest.fixture
def fetcher(tmp_path):
    """Makes a fetcher of an export: `fetcher("notion", content)`, whose content is an archive or files of a folder."""

    def make(kind: str, export: bytes | dict[str, str | bytes], **settings) -> Fetcher:
        file = tmp_path / "export"
        if isinstance(export, bytes):
            file = tmp_path / "export.zip"
            file.write_bytes(export)
        else:
            for name, content in export.items():
                (file / name).parent.mkdir(parents=True, exist_ok=True)
                (file / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        source = {"name": "wiki", "kind": kind, "file": str(file)} | settings
        chosen = Settings(storage={"folder": tmp_path / "data"}, sources=[source])
        return Fetcher(chosen.sources[0], chosen)

    return make


@pytest.fixture
def texts(tmp_path):
    """The files of the source with their content."""

    def read() -> dict[str, str]:
        folder = tmp_path / "data" / "sources" / "wiki"
        return {
            file.relative_to(folder).as_posix(): file.read_bytes().decode("utf-8", "replace")
            for file in sorted(folder.rglob("[!.]*"))
            if file.is_file()
        }

    return read


def document(tmp_path: Path, path: str):
    content = (tmp_path / "data" / "sources" / "wiki" / path).read_bytes()
    with Converter() as converter:
        return converter.read(path, content)


# --- Notion -----------------------------------------------------------------------------------------------------------


async def test_pages_of_notion_come_without_identities_and_with_their_words(fetcher, texts, tmp_path):
    """Links become the words where pages have no address; the table with all rows counts; a callout is text; code stays."""
    fetched = await fetcher("notion", written.notion(written.notion_files())).fetch()
    found = texts()
    assert sorted(found) == [
        "Home.md",
        "Home/Setup first steps.md",
        "Home/Tasks.csv",
        "Home/Tasks/Fix the pump.md",
        "Home/manual.pdf",
    ]
    assert fetched.documents == 5
    home = found["Home.md"]
    assert "Start with Setup: first steps or the board." in home
    assert "💡 **Never** open the valve while the pump runs." in home
    assert "aside" not in home
    assert "image.png" not in home
    assert "The valve is red." in home
    assert f"[kept](Home/Setup%20first%20steps%20{B}.md)" in home
    assert "See Notion and [elsewhere](https://example.org/a_(b))." in home
    assert "Manual: Setup: first steps\n" in found["Home/Tasks/Fix the pump.md"]
    assert found["Home/Tasks.csv"].splitlines() == [
        "Name,Where,Manual",
        'Fix the pump,Cellar,"Setup: first steps"',
        "Paint (twice),Roof,",
    ]
    assert document(tmp_path, "Home/Setup first steps.md").title == "Setup: first steps"
    assert document(tmp_path, "Home/Tasks.csv").title == "Tasks"
    assert "never open the valve" in " ".join(b.text for b in document(tmp_path, "Home.md").blocks).lower().replace(
        "*", ""
    )


async def test_pages_of_notion_lead_to_their_addresses_where_the_operator_wants_it(fetcher, texts, tmp_path):
    """In links, relations and citations; also across the parts of a large export, and from a folder with these parts."""
    files = written.notion_files()
    first = {name: files.pop(name) for name in (f"Home {A}.md", f"Home/Tasks {D}_all.csv")}
    parts = {"Export-Part-1.zip": zipped(first), "Export-Part-2.zip": zipped(files)}
    await fetcher("notion", parts, link="https://www.notion.so/{id}").fetch()
    found = texts()
    assert (
        f"[Setup: first steps](https://www.notion.so/{B}) or [the board](https://www.notion.so/{D})."
        in found["Home.md"]
    )
    assert f"See [Notion](https://www.notion.so/{B})" in found["Home.md"]
    assert f"Setup: first steps (https://www.notion.so/{B})" in found["Home/Tasks.csv"]
    (tmp_path / "knowledge").mkdir()
    listing = Places(tmp_path / "knowledge", {"wiki": tmp_path / "data/sources/wiki"}).listing()
    assert {entry.path: entry.address for entry in listing.files}["wiki:Home.md"] == f"https://www.notion.so/{A}"


async def test_pages_of_the_same_title_are_all_there(fetcher, texts):
    """Whatever letters they are written in, and also where a folder would be called like a file."""
    await fetcher(
        "notion",
        zipped(
            {
                f"Plan {A}.md": "# Plan\n\nOne.\n",
                f"plan {B}.md": "# plan\n\nTwo.\n",
                f"Plan.md {'e' * 32}.md": "# Plan.md\n\nThree.\n",
                f"Plan.md/Sub {D}.md": "# Sub\n\nFour.\n",
                f"{'f' * 32}.md": "# \n\nFive.\n",
            }
        ),
    ).fetch()
    assert sorted(texts()) == ["Plan-md/Sub.md", "Plan.md", "Plan.md.md", "Untitled.md", "plan (2).md"]


# --- Confluence -------------------------------------------------------------------------------------------------------


async def test_pages_of_confluence_come_without_trail_authors_and_comments(fetcher, texts, tmp_path):
    """Called by their titles without that of the space. Attachments are documents called as on the page."""
    fetched = await fetcher("confluence", written.confluence()).fetch()
    assert sorted(texts()) == [
        "HAR/Berth Fees & Taxes.html",
        "HAR/Berth fees.csv",
        "HAR/Harbour Home.html",
        "HAR/Öffnung.html",
    ]
    home = document(tmp_path, "HAR/Harbour Home.html")
    text = "\n".join(block.text for block in home.blocks)
    assert home.title == "Harbour Home"
    assert "The crane lifts forty tons. See the fees, Öffnung and [the port](https://example.org/)." in text
    assert "Lower the boom in a storm." in text
    for left_out in ("ninety tons", "Timothy", "generated by", "Attachments", "Harbour :"):
        assert left_out not in text
    [table] = document(tmp_path, "HAR/Berth Fees & Taxes.html").blocks
    assert (table.form, table.text.split("\n")[-1]) == (Form.TABLE, "| Small | 20 € |")
    assert document(tmp_path, "HAR/Berth fees.csv").title == "Berth fees"
    notes = " ".join(fetched.notes)
    assert "3 files had comments, which were left out: HAR/" in notes
    assert "1 file not read (a list of pages): HAR/index.html" in notes


async def test_pages_of_confluence_are_cited_by_the_address_of_the_wiki(fetcher, texts, tmp_path):
    address = "https://wiki.example.org/pages/viewpage.action?pageId="
    await fetcher("confluence", written.confluence(), link=f"{address}{{id}}").fetch()
    assert f'<a href="{address}98312">the fees</a>' in texts()["HAR/Harbour Home.html"]
    (tmp_path / "knowledge").mkdir()
    listing = Places(tmp_path / "knowledge", {"wiki": tmp_path / "data/sources/wiki"}).listing()
    assert f"{address}98310" in {entry.address for entry in listing.files}


# --- Google -----------------------------------------------------------------------------------------------------------


async def test_documents_of_google_have_their_title_lists_and_real_links(fetcher, texts, tmp_path):
    """Without comments and their marks; files of Takeout about other files are left out."""
    files = {
        "Takeout/Drive/House/Guest guide.html": written.GOOGLE_PAGE,
        "Takeout/Drive/House/Guest guide-comments.html": "<p>Is this still true?</p>",
        "Takeout/Drive/House/Prices.csv": "Room,Price\nBlue,90\n",
        "Takeout/Drive/House/Prices.csv-info.json": '{"title": "Prices"}',
        "Takeout/archive_browser.html": "<p>Your files</p>",
        "Takeout/Drive/House/photo.jpg": b"\xff\xd8",
    }
    fetched = await fetcher("google", zipped(files)).fetch()
    assert sorted(texts()) == ["House/Guest guide.html", "House/Prices.csv"]
    assert "3 files not read (it is about other files)" in " ".join(fetched.notes)
    guide = document(tmp_path, "House/Guest guide.html")
    assert guide.title == "Guest guide"
    paragraph, steps = guide.blocks
    assert paragraph.text == "The password is on [this page](https://example.org/wifi?a=1)."
    assert paragraph.heading == ("Wi-Fi",)
    assert steps.text.split("\n") == ["1. Open the lid", "   - with the key", "2. Press reset"]


async def test_a_takeout_in_several_archives_is_one_source(fetcher, texts):
    parts = {
        "takeout-001.zip": zipped({"Takeout/Drive/A.csv": "Room,Price\nBlue,90\n"}),
        "takeout-002.zip": zipped(
            {"Takeout/Drive/B.csv": "Room,Price\nRed,80\n", "Takeout/Drive/A.csv": "Room,Price\nBlue,95\n"}
        ),
    }
    await fetcher("google", parts).fetch()
    assert {path: text.split("\n")[1] for path, text in texts().items()} == {
        "A.csv": "Blue,90",
        "B.csv": "Red,80",
        "A (2).csv": "Blue,95",
    }


# --- Telegram ---------------------------------------------------------------------------------------------------------

CHAT = [
    message(1, "user1", "") | {"type": "service", "actor": "Anna", "action": "create_group", "title": "Pump Support"},
    message(5, STAFF, "") | {"type": "service", "actor": "Max", "action": "topic_created", "title": "Billing"},
    message(10, "user1", "How do I reset the pump?"),
    message(11, "user2", "Hit it with a hammer!", reply_to_message_id=10),
    message(
        12,
        STAFF,
        [
            {"type": "mention_name", "text": "Anna Miller", "user_id": 1},
            ", hold the ",
            {"type": "bold", "text": "red"},
            " button. See ",
            {"type": "text_link", "text": "the manual", "href": "https://example.org/m"},
            " or ask ",
            {"type": "mention", "text": "@pump_bot"},
            ".",
        ],
        reply_to_message_id=10,
        reactions=[{"type": "emoji", "count": 1, "emoji": "✅", "recent": [{"from": "Max", "from_id": STAFF}]}],
    ),
    message(13, "user1", "And on Sundays?", reply_to_message_id=12),
    message(14, STAFF, "No.", reply_to_message_id=13),
    message(15, "user1", "Thanks!"),
    message(16, STAFF, "You're welcome.", reply_to_message_id=15),
    message(
        20,
        "user3",
        ["Who sends the bill for ", {"type": "phone", "text": "+49 30 123456"}, " please?"],
        reply_to_message_id=5,
    ),
    message(21, STAFF, "The office in Bremen does.", reply_to_message_id=20),
    message(30, "user4", "Can the pump run dry?"),
    message(
        31,
        "user2",
        "It can for one minute.",
        reply_to_message_id=30,
        reactions=[
            {"type": "emoji", "count": 2, "emoji": "✅", "recent": [{"from": "Max", "from_id": STAFF}]},
            {"type": "emoji", "count": 1, "emoji": "👍", "recent": [{"from": "Eve", "from_id": "user9"}]},
        ],
    ),
    message(
        32,
        "user9",
        "Of course, always.",
        reply_to_message_id=30,
        reactions=[{"type": "emoji", "count": 1, "emoji": "✅", "recent": [{"from": "Eve", "from_id": "user9"}]}],
    ),
]


def pairs(texts) -> dict[str, list[tuple[str, str]]]:
    return {
        path: [(pair["question"], pair["answer"]) for pair in map(json.loads, text.splitlines())]
        for path, text in texts().items()
    }


async def test_replies_of_the_staff_answer_questions_and_nobody_is_named(fetcher, texts):
    """By topic. Follow-ups and thanks are left out, and told."""
    fetched = await fetcher("telegram", {"result.json": telegram(CHAT)}, staff=[STAFF]).fetch()
    assert pairs(texts) == {
        "Pump Support.jsonl": [
            (
                "How do I reset the pump?",
                "hold the red button. See the manual (https://example.org/m) or ask @pump_bot.",
            )
        ],
        "Pump Support/Billing.jsonl": [("Who sends the bill for please?", "The office in Bremen does.")],
    }
    everything = "".join(texts().values())
    for name in ("Anna", "Max", "user1", "hammer", "123456"):
        assert name not in everything
    notes = " ".join(fetched.notes)
    assert "1 file not read (an answer to a reply): Pump Support, message 14" in notes
    assert "an answer to fewer than three words" in notes


async def test_with_a_reaction_only_what_the_staff_has_marked_is_read(fetcher, texts):
    """Whoever has written it. The mark of anybody else counts for nothing."""
    await fetcher("telegram", zipped({"ChatExport/result.json": telegram(CHAT)}), staff=[STAFF], accepted="✅").fetch()
    [found] = pairs(texts).values()
    assert [answer for _, answer in found] == [
        "hold the red button. See the manual (https://example.org/m) or ask @pump_bot.",
        "It can for one minute.",
    ]


async def test_private_chats_of_a_whole_export_are_never_read(fetcher, texts):
    """And a control character as Telegram Desktop writes it does no harm."""
    asked = [
        message(1, "user1", "Where is the spare key?"),
        message(2, STAFF, "Below the stone.", reply_to_message_id=1),
    ]
    public = json.loads(telegram(CHAT[:5]))
    private = json.loads(telegram(asked, type="personal_chat", name="Anna"))
    everything = json.dumps({"about": "x", "chats": {"about": "y", "list": [private, public]}})
    everything = everything.replace("hold the ", r"hold\x1B the \\x1B ")
    fetched = await fetcher("telegram", zipped({"result.json": everything}), staff=[STAFF]).fetch()
    assert "stone" not in "".join(texts().values())
    assert list(texts()) == ["Pump Support.jsonl"]
    assert r"the \\x1B" in texts()["Pump Support.jsonl"]
    assert "(a private chat): one of them" in " ".join(fetched.notes)
    alone = fetcher("telegram", zipped({"result.json": telegram(asked, type="personal_chat")}), staff=[STAFF])
    with pytest.raises(SourceError, match="check the settings staff and accepted"):
        await alone.fetch()


# --- the source -------------------------------------------------------------------------------------------------------


async def test_an_export_that_is_replaced_is_due_at_once_and_read_as_what_it_is_now(fetcher, texts, tmp_path):
    """Files that stay the same are the same files. A damaged export leaves what was there."""
    made = fetcher("notion", written.notion(written.notion_files()))
    await made.fetch()
    status = await made.status()
    assert seconds_until_due(made.source, status, status.tried + 1) > 80_000
    before = (tmp_path / "data/sources/wiki/Home/Tasks.csv").stat()
    files = written.notion_files()
    del files[f"Home/Setup first steps {B}.md"]
    made = fetcher("notion", written.notion(files | {f"Home {A}.md": "# Home\n\nNew.\n"}))
    assert seconds_until_due(made.source, status, status.tried + 1) <= 0
    changes = (await made.fetch()).changes
    assert (changes.changed, changes.removed) == (("Home.md",), ("Home/Setup first steps.md",))
    assert (tmp_path / "data/sources/wiki/Home/Tasks.csv").stat().st_ino == before.st_ino
    made = fetcher("notion", written.notion(files)[:-400])
    with pytest.raises(SourceError, match="no ZIP archive, or it is damaged or not complete yet"):
        await made.fetch()
    assert texts()["Home.md"] == "# Home\n\nNew.\n"
    assert "not complete yet" in (await made.status()).problem


@pytest.mark.parametrize(
    ("kind", "export", "problem"),
    [
        ("notion", zipped({"a.md": "# A\n\nA.\n"}), "no page of Notion in it; export"),
        ("confluence", zipped({"a.html": "A"}), "no page of Confluence in it; export"),
        ("google", zipped({"a.bin": "A"}), "no document in it; export"),
        ("telegram", zipped({"messages.html": "A"}), "no result.json in it; export the chat"),
        ("telegram", zipped({"result.json": '{"name": "x", "messages": ['}), "is not complete"),
        ("google", b"PK", "this is no ZIP archive"),
        ("google", {"x/a.bin": "A"}, "holds neither a ZIP archive nor a document; check the setting file"),
    ],
)
async def test_an_export_of_another_kind_is_told_with_what_to_export(fetcher, kind, export, problem):
    with pytest.raises(SourceError, match=problem):
        await fetcher(kind, export, staff=[STAFF] if kind == "telegram" else []).fetch()


async def test_a_missing_export_is_told(fetcher):
    made = fetcher("google", b"")
    made.source.file.unlink()
    with pytest.raises(SourceError, match="No such file or directory\\); check the setting file"):
        await made.fetch()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "notion"}, "needs the path of an export of Notion: file"),
        ({"kind": "telegram", "file": "x.zip"}, 'such as "user123456789": staff'),
        ({"kind": "telegram", "file": "x.zip", "staff": ["Max"]}, 'such as "user123456789": staff'),
        ({"kind": "google", "file": "x.zip", "link": "https://x.org/{id}"}, "a link that doesn't fit"),
        ({"kind": "notion", "file": "x.zip", "link": "https://x.org/"}, "with {id} in it: link"),
    ],
)
def test_settings_that_no_export_has_are_told(settings, problem):
    with pytest.raises(ValueError, match=problem):
        Settings(sources=[{"name": "wiki"} | settings])


# --- hostile archives -------------------------------------------------------------------------------------------------


def bomb(name: str, megabytes: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(megabytes):
            file.write(b"\n" * 2**20)
    return packed.getvalue()


async def test_no_path_leads_out_of_the_folder(fetcher, texts, tmp_path):
    """Whatever an archive calls its files."""
    files = {
        "../../escape.csv": "a,b\n1,2\n",
        "/etc/passwd.csv": "a,b\n1,2\n",
        "..\\..\\windows.csv": "a,b\n1,2\n",
        ".hidden/.manifest.json": '{"addresses": {}}',
        "~$lock.csv": "a,b\n1,2\n",
        "x" * 300 + ".csv": "a,b\n1,2\n",
        "con:stream|?.csv": "a,b\n1,2\n",
        "a/../b/./c.csv": "a,b\n1,2\n",
    }
    await fetcher("google", zipped(files)).fetch()
    assert sorted(texts()) == sorted(
        [
            "escape.csv",
            "etc/passwd.csv",
            "windows.csv",
            "hidden/manifest.json",
            "lock.csv",
            "x" * 80 + ".csv",
            "con stream.csv",
            "a/b/c.csv",
        ]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data", "export.zip"}


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    with_bomb = io.BytesIO(bomb("big.csv", 100))
    with zipfile.ZipFile(with_bomb, "a") as archive:
        archive.writestr("small.csv", "Room,Price\nBlue,90\n")
    return {
        "beside others": with_bomb.getvalue(),
        "two megabytes": bomb("big.csv", 2),
        "within": bomb("Export-Part-1.zip", 300),
    }


async def test_bombs_are_refused_and_the_rest_is_read(fetcher, texts, bombs):
    """A file that is too large is named; too much of them together is refused; so is a bomb that is called an archive."""
    fetched = await fetcher("google", bombs["beside others"]).fetch()
    assert list(texts()) == ["small.csv"]
    assert "1 file not read (too large): big.csv" in fetched.notes
    with pytest.raises(SourceError, match="takes more than 1 megabyte; raise its setting megabytes"):
        await fetcher("google", bombs["two megabytes"], megabytes=1).fetch()
    with pytest.raises(SourceError, match="unpack it once, and name the folder"):
        await fetcher("google", bombs["within"]).fetch()


async def test_an_archive_that_lies_about_sizes_gives_no_more_than_it_says(fetcher, texts):
    """The file is named as damaged."""
    honest = zipped({"a.csv": "Room,Price\n" + "Blue,90\n" * 1000, "b.csv": "Room,Price\nRed,80\n"})
    size = len("Room,Price\n" + "Blue,90\n" * 1000).to_bytes(4, "little")
    lying = honest.replace(size, (50).to_bytes(4, "little"))
    assert lying != honest
    fetched = await fetcher("google", lying).fetch()
    assert list(texts()) == ["b.csv"]
    assert "damaged in the archive" in " ".join(fetched.notes)


async def test_a_password_is_told(fetcher):
    locked = bytearray(zipped({"a.csv": "a,b\n1,2\n"}))
    place = locked.index(b"PK\x01\x02")
    locked[place + 8] |= 1
    with pytest.raises(SourceError, match="protected by a password; export it without one"):
        await fetcher("google", bytes(locked)).fetch()


async def test_links_in_a_folder_are_not_followed(fetcher, texts, tmp_path):
    made = fetcher("google", {"a.csv": "Room,Price\nBlue,90\n"})
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (made.source.file / "link.csv").symlink_to(tmp_path / "secret.csv")
    (made.source.file / "folder").symlink_to(tmp_path)
    await made.fetch()
    assert list(texts()) == ["a.csv"]


async def test_a_page_that_ends_the_converter_costs_only_itself(fetcher, texts, monkeypatch):
    """What was read of it before is kept."""
    await fetcher("confluence", written.confluence()).fetch()
    part = Converter.part

    def killed(self, rules, number, size):
        if number == 1:
            self._started().kill()
        return part(self, rules, number, size)

    monkeypatch.setattr(Converter, "part", killed)
    fetched = await fetcher("confluence", written.confluence()).fetch()
    assert len(texts()) == 4
    assert not fetched.changes
    assert "could not be read (reading it has crashed the reader" in " ".join(fetched.notes)


async def test_an_export_of_which_nothing_can_be_read_is_given_up(fetcher, texts):
    """After ten files in a row; what was read before stays."""
    await fetcher("google", zipped({"old.csv": "Room,Price\nBlue,90\n"})).fetch()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number in range(12):
            archive.writestr(f"{number}.csv", "Room,Price\nRed,80\n")
    damaged = packed.getvalue().replace(b"Red", b"Rot")  # not what the checksums say
    with pytest.raises(SourceError, match=r"10 files in a row could not be read, the last one 9\.csv: it is damaged"):
        await fetcher("google", damaged).fetch()
    assert list(texts()) == ["old.csv"]


async def test_a_fetch_that_is_cancelled_ends_its_process(fetcher):
    many = {f"Page {n:032x}.md": f"# Page {n}\n\nText.\n" for n in range(3000)}
    made = fetcher("notion", zipped(many))
    task = asyncio.create_task(made.fetch())
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await made.status()).fetched == 0
