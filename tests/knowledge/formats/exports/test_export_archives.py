"""Archives of exports: no path leads out, bombs and lies are refused, and damage costs one file."""

import io
import zipfile

import pytest

from bot.core.errors import SourceError
from tests.knowledge.formats.exports.export_writers import zipped


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
