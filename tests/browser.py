"""A headless Chromium for tests of pages, and the accessibility rules of axe-core."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
SECONDS = 120
"""How long a page may take on a machine that does much else."""

PICTURES = os.environ.get("BROWSER_PICTURES", "")
"""A folder to keep pictures of all pages in, to look at them."""

needs_browser = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER), reason="no browser: apt-get install chromium chromium-driver"
)
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="no axe-core: npm install --no-save --no-package-lock axe-core@4.10.3"
)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own, whose console is logged."""
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(_DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def looks(browser: webdriver.Chrome) -> Iterator[tuple[int, str]]:
    """Show pages as on a desk and on a phone, in light and in dark colours, one after the other."""
    for width in (1280, 390):
        for scheme in ("light", "dark"):
            _look_like(browser, width, scheme)
            yield width, scheme


def _look_like(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def faults(browser: webdriver.Chrome) -> list[tuple[str, list[Any]]]:
    """The serious and critical faults of the page by axe-core: (rule, the elements that break it); and whether something
    stands beyond the edge of the screen."""
    if not browser.execute_script("return typeof axe === 'object'"):
        browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(done, done);")
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    return [("wider than the screen", [])] * wide + [
        (one["id"], [(node["target"], node["any"][:1] and node["any"][0]["message"]) for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


class Conversation:
    """Uses the chat by keyboard and mouse, on a page or in a shadow root."""

    def __init__(self, browser: webdriver.Chrome, root: Any) -> None:
        self.root = root
        self.wait: Callable[..., Any] = WebDriverWait(browser, SECONDS).until

    def all(self, css: str) -> list[WebElement]:
        found: list[WebElement] = self.root.find_elements(By.CSS_SELECTOR, css)
        return found

    def ask(self, text: str) -> WebElement:
        """The turn of a question, once it is answered."""
        before = len(self.all("article"))
        [field] = self.all("textarea")
        field.send_keys(text, Keys.ENTER)
        self.wait(lambda _: len(self.all("article")) > before and self.all("article:last-child .answer"))
        return self.all("article")[-1]

    def press(self, label: str) -> None:
        next(button for button in self.all("button") if button.text == label).click()
