"""Exports of Notion: pages and tables, without identities and with their words."""

from bot.knowledge.places import Places
from tests.knowledge.formats.exports import export_writers as written
from tests.knowledge.formats.exports.export_writers import A, B, D, zipped
from tests.knowledge.formats.exports.exporting import document


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
