"""The console and the ask page in a real browser, against the program with the real models: how an operator gets to a right
answer, and the accessibility of every page."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser import PICTURES, SECONDS, Conversation, chromium, faults, looks, needs_axe, needs_browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), needs_browser]
OPERATORS = "fedcba9876543210-the-operators"
GUIDE = """\
# Brewing guide

## Water

Fill the kettle.

Use water at 92 to 96 degrees. Never boil it.

## Coffee

Grind 15 grams of beans for one cup, as coarse as sea salt.
"""
QUESTION = "what does the lid of the kettle weigh?"
PAGES = (
    "console/questions console/questions?text=kettle console/questions/1 console/explain?text=how+hot+is+the+water "
    "console/gaps console/entries console/documents console/threshold?threshold=0.9 console/quality console/health "
    "console/settings console/setup console/setup/discord console/setup/telegram console/questions/999 docs sign-in ask/"
).split()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("console-browser")
    (place / "knowledge").mkdir()
    (place / "knowledge" / "guide.md").write_text(GUIDE)
    return place


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    """The address of the running program, with a slash at its end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    environment = os.environ | {
        "BOT_HTTP__PORT": str(port),
        "BOT_HTTP__OPERATOR_TOKEN": OPERATORS,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-m", "bot", "run"]
        process = subprocess.Popen(command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stderr=log)
    try:
        end = time.monotonic() + 180
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}health/ready") as response:  # noqa: S310 - ours
                assert response.status == 200
                break
            assert process.poll() is None and time.monotonic() < end, (place / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser(place: Path) -> Iterator[webdriver.Chrome]:
    with chromium(place / "profile") as driver:
        yield driver


class Operator:
    """Uses the console by mouse and keyboard."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser = browser
        self.address = address
        # A page may be replaced by the next one between two looks at it.
        missing = (NoSuchElementException, StaleElementReferenceException)
        self.wait = WebDriverWait(browser, SECONDS, ignored_exceptions=missing).until

    def one(self, css: str) -> WebElement:
        return self.wait(lambda driver: driver.find_element(By.CSS_SELECTOR, css))

    def fill(self, css: str, text: str) -> None:
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def press(self, label: str) -> None:
        """Press a visible button, follow a link, or unfold something with this label."""

        def pressed(driver: webdriver.Chrome) -> bool:
            found = driver.find_elements(By.CSS_SELECTOR, "main button, main a, main summary")
            named = [one for one in found if one.text == label and one.is_displayed()]
            for one in named[:1]:
                one.click()
            return bool(named)

        self.wait(pressed)

    def sign_in(self) -> None:
        self.browser.get(f"{self.address}console")
        if "sign-in" in self.browser.current_url:
            self.fill("input[name=token]", OPERATORS)
            self.one("main button").click()
        self.one("nav a[aria-current]")

    def reads(self, text: str) -> str:
        """The page, once it has this text."""
        shown: WebElement = self.wait(lambda _: text in (main := self.one("main")).text and main)
        return shown.text


def test_a_wrong_answer_is_found_and_mended(browser, address):
    """Ask, follow up, rate; log in, find the question, mark it wrong, write an entry, publish it, ask again and get it."""
    browser.get(address)
    page = Conversation(browser, browser)
    assert "92 to 96 degrees" in page.ask("how hot should the water be?").text
    page.press("Helpful")
    assert "15 grams" in page.ask("and how many grams of beans?").text
    assert "ninety grams" not in page.ask(QUESTION).text

    operator = Operator(browser, address)
    operator.sign_in()
    operator.fill("input[name=text]", "lid of the kettle")
    operator.press("Show")
    operator.press(QUESTION)
    operator.reads("This is wrong")
    operator.press("Write the right answer")
    operator.fill("form[action$='/entry'] textarea[name=answer]", "The lid of the kettle weighs ninety grams.")
    operator.press("Keep this entry")
    operator.reads("Kept.")
    operator.press("Publish")
    operator.reads("Published: ")
    browser.get(f"{address}console/questions")
    Select(operator.one("select[name=rating]")).select_by_value("wrong")
    operator.press("Show")
    operator.wait(lambda driver: "rating=wrong" in driver.current_url)
    assert "how hot" not in operator.reads(QUESTION)

    browser.get(address)
    assert "ninety grams" in page.ask(QUESTION).text
    noticed = browser.get_log("browser")
    assert [entry for entry in noticed if entry["level"] != "DEBUG"] == []  # those are recommendations


def test_a_page_that_shows_work_follows_it(browser, address, place):
    """Without a reload by the browser, which would take the reader's place away: the index that the operator begins."""
    operator = Operator(browser, address)
    operator.sign_in()
    for number in range(30):
        (place / "knowledge" / f"part-{number}.md").write_text(
            f"# Part {number}\n\nPart {number} weighs {number} grams.\n"
        )
    browser.get(f"{address}console/documents")
    operator.press("Index again")
    operator.wait(lambda _: "is being indexed" not in operator.reads("part-29.md"))


@needs_axe
def test_no_page_has_a_serious_fault(browser, address):
    """In light and dark, on a desk and on a phone."""
    operator = Operator(browser, address)
    operator.sign_in()
    found = {}
    for width, scheme in looks(browser):
        for page in PAGES:
            browser.get(address + page)
            if page == "ask/":
                chat = Conversation(browser, browser)
                chat.ask("how hot should the water be?").find_element(By.TAG_NAME, "summary").click()
                chat.wait(lambda _, chat=chat: chat.all("mark"))
            if wrong := faults(browser):
                found[page, width, scheme] = wrong
            if PICTURES:
                name = page.strip("/").replace("/", "-").partition("?")[0]
                browser.save_screenshot(f"{PICTURES}/{name}-{width}-{scheme}.png")
    assert found == {}
