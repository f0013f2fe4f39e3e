"""Exports of Google Drive: documents as they are, also from several archives."""

from tests.knowledge.formats.exports import export_writers as written
from tests.knowledge.formats.exports.export_writers import zipped
from tests.knowledge.formats.exports.exporting import document


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
