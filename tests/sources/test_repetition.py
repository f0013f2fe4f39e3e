"""What the pages of a website repeat: one of them keeps it, whatever it is called, and nothing else is lost."""

from collections import defaultdict

import pytest

from bot.core.settings import Settings
from bot.runtime.application import open_application
from bot.sources.fetching import Fetcher
from tests.platforms.website_server import Website, page

FOOTER = "Mariner Supplies, Pier 7, Hull. Call us on 01482 555 010 from nine to five."
NOTICE = "We put small files on your device so that our shop remembers your basket."
SOME = "This pump must be drained before the first frost of the year."
SHORT = "Returns nothing."


def site_page(number: int, links: tuple[str, ...] = (), *, extra: str = "") -> str:
    written = page(f"Pump {number}", f"Pump {number} moves {number + 20} litres a minute.", *links)
    repeated = (
        f'<article class="content"><p>{NOTICE}</p></article>',
        f'<section id="main-text"><p>{FOOTER}</p></section>',
    )
    inside = f"<h2>Result {number}</h2><p>{SHORT}</p>{extra}"
    return written.replace("<h1>", f"{repeated[0]}<h1>").replace("</body>", f"{inside}{repeated[1]}</body>")


@pytest.fixture
async def indexed(settings, models, folder_of):
    """Fetches and indexes a website of so many pages; the texts by document, and the remarks on each."""
    folder_of({"guide.md": f"# Guide\n\n{FOOTER}\n"})
    async with Website.running() as site:
        source = {"name": "shop", "url": f"{site.address}/", "private": True, "requests_per_second": 1000}
        settings = settings.model_copy(update={"sources": Settings(sources=[source]).sources})
        async with open_application(settings, models) as application:

            async def run(pages: int):
                paths = [f"/p{number}" for number in range(1, pages)]
                site.pages = {"/": site_page(0, tuple(paths))}
                for number, path in enumerate(paths, 1):
                    site.pages[path] = site_page(number, extra=f"<p>{SOME}</p>" if number < 4 else "")
                await Fetcher(settings.sources[0], settings).fetch()
                report = await application.indexer.index_folder(settings.knowledge.folder)
                texts = defaultdict(str)
                for stored in await application.stores.knowledge.stored():
                    texts[stored.document] += stored.passage.body
                return texts, {file.path: file.warnings for file in report.files}

            yield run


def with_text(texts: dict[str, str], text: str) -> list[str]:
    return sorted(document for document, body in texts.items() if text in body)


async def test_what_most_pages_repeat_is_kept_by_one_of_them(indexed):
    """Told with a sample on the others. What few pages have, short texts, and the knowledge folder stay as they are. Pages
    whose files have not changed are read anew when the website becomes so small that repetition says nothing."""
    texts, remarks = await indexed(10)
    assert with_text(texts, FOOTER) == ["guide.md", "shop:index.html"]
    assert with_text(texts, NOTICE) == ["shop:index.html"]
    assert with_text(texts, SOME) == ["shop:p1.html", "shop:p2.html", "shop:p3.html"]
    assert len(with_text(texts, SHORT)) == 10
    assert all(f"Pump {number} moves {number + 20} litres" in texts[f"shop:p{number}.html"] for number in range(1, 10))
    assert remarks["shop:p5.html"] == (
        "2 blocks left out that most pages of the website have, such as “We put small files on your device so that our shop "
        "remembers your basket.”, which index.html keeps",
    )
    assert remarks["shop:index.html"] == remarks["guide.md"] == ()
    texts, remarks = await indexed(7)
    assert len(with_text(texts, FOOTER)) == 8
    assert set(remarks.values()) == {()}
