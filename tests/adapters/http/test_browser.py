"""The ask page and the widget in a real browser, against the program as `knowledge-bot web` starts it, with the real models."""

import functools
import http.server
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import PICTURES, SECONDS, Conversation, chromium, faults, looks, needs_axe, needs_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # a machine that does much else takes a minute to start a process
    needs_browser,
]
GUIDE = """\
# Brewing guide

## Water

Fill the kettle.

Use water at 92 to 96 degrees. <b>Never</b> boil it.

## Coffee

Grind 15 grams of beans for one cup, as coarse as sea salt.
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    (place / "knowledge").mkdir()
    (place / "knowledge" / "guide.md").write_text(GUIDE)
    opener = place / "open-browser"
    opener.write_text(f'#!/bin/sh\necho "$1" > {place}/opened.new && mv {place}/opened.new {place}/opened\n')
    opener.chmod(0o755)
    (place / "site").mkdir()
    return place


@pytest.fixture(scope="module")
def other_site(place: Path) -> Iterator[str]:
    """Another site, on which a page has the widget."""
    handler = functools.partial(_Quiet, directory=str(place / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def address(place: Path, other_site: str) -> Iterator[str]:
    """The address that `knowledge-bot web` opens in the browser of its user."""
    environment = os.environ | {
        "BROWSER": f"{place}/open-browser %s",
        "BOT_HTTP__PORT": "0",
        "BOT_HTTP__WIDGET_ORIGINS": f'["{other_site}"]',
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "web"], cwd=place, env=environment, stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        end = time.monotonic() + 180
        while not (place / "opened").exists():
            assert process.poll() is None and time.monotonic() < end, (place / "log").read_text()
            time.sleep(0.05)
        yield (place / "opened").read_text().strip()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser(place: Path) -> Iterator[webdriver.Chrome]:
    with chromium(place / "profile") as driver:
        yield driver


def test_a_conversation_on_the_page(browser, address, place):
    """Ask, unfold the source, follow up, rate, be declined, and begin anew; all of it from this server."""
    browser.get(address.removesuffix("ask/"))
    assert browser.current_url == address
    page = Conversation(browser, browser)
    turn = page.ask("how hot should the water be?")
    assert "92 to 96 degrees" in turn.find_element(By.CLASS_NAME, "answer").text
    turn.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    marked = page.wait(lambda _: turn.find_elements(By.TAG_NAME, "mark"))
    assert "Use water at 92 to 96 degrees. <b>Never</b> boil it." in marked[0].text  # the very words of the document
    assert turn.find_elements(By.TAG_NAME, "b") == []
    page.press("Helpful")
    page.wait(lambda _: "Thank you!" in turn.text)
    assert "15 grams" in page.ask("and how many grams of beans?").text
    conversations = _stored(place, "SELECT DISTINCT json_extract(question, '$.conversation') FROM questions")
    assert len(conversations) == 1
    assert "declined" in page.ask("who won the world cup in 1966?").find_element(By.CLASS_NAME, "answer").get_attribute(
        "class"
    )
    page.press("New conversation")
    assert page.all("article") == []
    page.ask("how hot should the water be?")
    assert len(_stored(place, "SELECT DISTINCT json_extract(question, '$.conversation') FROM questions")) == 2
    assert _stored(place, "SELECT platform, helpful FROM feedback") == [("http", 1)]
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert {name.removeprefix(address).partition("?")[0] for name in loaded} <= {
        *("chat.css", "chat.js", "page.js", "icon.svg", "questions", "passages", "ratings")
    }
    assert browser.get_log("browser") == []


def test_the_widget_on_a_page_of_another_site(browser, address, other_site, place):
    """One script tag; what the page looks like doesn't reach into the widget."""
    script = f"{address.removesuffix('ask/')}widget/widget.js"
    page = f'<!doctype html><style>* {{ display: none }}</style><body><script type="module" src="{script}"></script>'
    (place / "site" / "index.html").write_text(page)
    browser.get(other_site)
    wait = WebDriverWait(browser, 30)
    [host] = wait.until(lambda driver: driver.find_elements(By.TAG_NAME, "knowledge-bot"))
    widget = Conversation(browser, host.shadow_root)
    browser.execute_script("document.querySelector('style').remove()")
    wait.until(lambda _: widget.all("#opener")[0].is_displayed())
    widget.press("Ask")
    assert "92 to 96 degrees" in widget.ask("how hot should the water be?").text
    widget.all("textarea")[0].send_keys(Keys.ESCAPE)
    wait.until(lambda _: not widget.all("#panel")[0].is_displayed())
    authors = _stored(place, "SELECT DISTINCT substr(json_extract(question, '$.author'), 1, 7) FROM questions")
    assert ("widget:",) in authors
    browser.get(other_site.replace("127.0.0.1", "localhost"))  # another origin, which is not allowed
    wait.until(lambda driver: any("CORS" in entry["message"] for entry in driver.get_log("browser")))
    assert browser.find_elements(By.TAG_NAME, "knowledge-bot") == []


@needs_axe
def test_the_widget_has_no_serious_fault(browser, address, other_site, place):
    """In light and dark, on a desk and on a phone; closed, and open with an answer and its source."""
    script = f"{address.removesuffix('ask/')}widget/widget.js"
    head = '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A site</title>'
    page = f'{head}<main><h1>A site</h1></main><script type="module" src="{script}"></script>'
    (place / "site" / "accessible.html").write_text(page)
    found = {}
    for look in looks(browser):
        browser.get(f"{other_site}/accessible.html")
        wait = WebDriverWait(browser, SECONDS)
        [host] = wait.until(lambda driver: driver.find_elements(By.TAG_NAME, "knowledge-bot"))
        widget = Conversation(browser, host.shadow_root)
        wait.until(lambda _, widget=widget: widget.all("#opener")[0].is_displayed())
        found[look, "closed"] = faults(browser)
        widget.press("Ask")
        widget.ask("how hot should the water be?").find_element(By.TAG_NAME, "summary").click()
        widget.wait(lambda _, widget=widget: widget.all("mark"))
        found[look, "open"] = faults(browser)
        if PICTURES:
            browser.save_screenshot(f"{PICTURES}/widget-{look[0]}-{look[1]}.png")
    assert {state: wrong for state, wrong in found.items() if wrong} == {}


def _stored(place: Path, query: str) -> list[tuple[object, ...]]:
    [file] = place.glob("data/journal*.sqlite3")
    with closing(sqlite3.connect(file)) as journal:
        return journal.execute(query).fetchall()
