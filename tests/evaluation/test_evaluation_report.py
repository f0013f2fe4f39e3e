"""Showing the figures: the table for the terminal, and the page, which must hold any text that people write."""

import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from evaluation_samples import OFFTOPIC, UNANSWERABLE, answerable, answered, declined, result, suggested
from rich.console import Console
from selenium.webdriver.common.by import By

from bot.core.errors import BotError
from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings
from bot.engine.confidence import Calibration
from bot.engine.logistic import LogisticModel
from bot.evaluation.calibration import Fitted, ThresholdPoint
from bot.evaluation.metrics import measure
from bot.evaluation.plots import require_matplotlib
from bot.evaluation.questions import EvaluationQuestion, KeyLines, QuestionKind
from bot.evaluation.report import worst, write_report
from bot.evaluation.run import EvaluationResult
from bot.evaluation.table import render_calibration, render_table
from tests.browser import PICTURES, chromium, faults, looks, needs_axe, needs_browser

HOSTILE = "<script>alert('x')</script> & \"<b>so</b>\""
RESULTS = (
    result(answerable("setup"), answered("setup", confidence=0.95), 5.0),
    result(
        answerable(HOSTILE, doc="<i>.md", question=f"What? {HOSTILE}"), answered(f"no {HOSTILE}", confidence=0.8), 7
    ),
    result(
        answerable("setup", question="Declined?"),
        declined(0.2, retrieved=("near.md",)),
        9.0,
        answered("setup", confidence=0.2),
    ),
    result(UNANSWERABLE, declined(0.3), 20.0),
    result(OFFTOPIC, answered("x", confidence=0.7), 40.0),
)
# Elements that HTML closes by itself.
VOID = {"meta", "br", "input"}


class Page(HTMLParser):
    """The elements of a page; closing the wrong element fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "xlink:href", "src", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def written(folder: Path, results: Sequence[EvaluationResult], title: str = "My set") -> str:
    page = write_report(
        folder, measure(results), results, bounds=AnswerSettings(threshold=0.5, suggest_threshold=0.25), title=title
    )
    return page.read_text(encoding="utf-8")


@pytest.mark.slow
@needs_browser
@needs_axe
def test_the_page_has_no_serious_fault(tmp_path: Path) -> None:
    """In light and dark, on a desk and on a phone."""
    written(tmp_path / "report", RESULTS)
    found = {}
    with chromium(tmp_path / "profile") as browser:
        browser.get((tmp_path / "report" / "index.html").as_uri())
        for fold in browser.find_elements(By.TAG_NAME, "summary"):
            fold.click()
        for look in looks(browser):
            if wrong := faults(browser):
                found[look] = wrong
            if PICTURES:
                browser.save_screenshot(f"{PICTURES}/report-{look[0]}-{look[1]}.png")
    assert found == {}


def shown(results: Sequence[EvaluationResult]) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(render_table(measure(results), "My [set]"))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_has_a_row_a_kind_and_one_for_all() -> None:
    """Of three answerable ones: one found, one exact; F1 1, 4/5 (two words of two and three) and 0; two answered."""
    lines = [line.split() for line in shown(RESULTS)]
    rows = {words[0]: words[1:] for words in lines if len(words) == 10}
    assert rows["answerable"] == ["3", "33.3%", "33.3%", "0.333", "33.3%", "60.0%", "33.3%", "60.0%", "66.7%"]
    assert rows["unanswerable"] == ["1", "-", "-", "-", "-", "-", "-", "-", "0.0%"]
    assert rows["offtopic"] == ["1", "-", "-", "-", "-", "-", "-", "-", "100.0%"]
    assert rows["overall"][0] == "5"


def test_the_table_fits_a_narrow_terminal_and_says_the_rest_below() -> None:
    lines = shown(RESULTS)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "My [set]" in text
    assert "precision 33.3%: " in text
    assert "AUROC 0.667: " in text
    assert "forced span F1 93.3%: " in text  # 1, 4/5, and 1 for the one that was withheld
    assert "calibration error 0.58" in text  # of 0.95, 0.8, 0.2 and 0.7 the first and third are right: 2.35 / 4
    assert "9.0 ms median, 36 ms at the 95th percentile" in text


HELP = EvaluationQuestion(
    "h",
    "How do I open the sluice?",
    QuestionKind.ANSWERABLE,
    subtype="howto",
    key=("turn the wheel", "pull the lever"),
    places=(KeyLines("locks/sluice.md", 8, 11),),
)


def test_what_became_of_questions_to_a_help_desk_is_said_by_subtype() -> None:
    results = [
        result(HELP, answered("x", text="Turn the wheel.")),
        result(HELP, suggested("Pull the lever.")),
        result(HELP, suggested("Paint the wheel.")),
        result(HELP, declined()),
    ]
    text = " ".join(" ".join(shown(results)).split())
    shares = "25.0% useful, 0.0% wrong, 25.0% suggested and useful, 25.0% suggested and not, 25.0% declined"
    assert f"help, howto {shares}: of the 4 questions of the kind howto whose useful answers" in text
    assert f"help, all {shares}: of the 4 questions whose useful answers" in text


def test_a_mistake_names_the_places_and_key_words_of_a_useful_answer(tmp_path: Path) -> None:
    text = Page(written(tmp_path, [result(HELP, suggested("Paint the wheel."))])).text
    assert "suggested with a confidence of 0.30" in text
    assert "Right placelocks/sluice.md, lines 8-11" in text
    assert "turn the wheelpull the lever" in text


def test_the_table_of_nothing_is_dashes() -> None:
    text = "\n".join(shown([]))
    assert "AUROC -: " in text
    assert "forced span F1 -: " in text
    assert "calibration error -: " in text
    assert "latency - median" in text


def test_what_a_calibration_gives_is_shown_threshold_by_threshold() -> None:
    """With a dash where nothing would be answered, and the error of each set."""
    fitted = Fitted(
        Calibration(LogisticModel(0.0, {}), LogisticModel(0.0, {}), {}),
        {"faq": 0.0312, "handbook": 0.2},
        [ThresholdPoint(0.5, 0.75, 0.905), ThresholdPoint(0.95, 0.0, None)],
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(render_calibration(fitted))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = [line.split() for line in text.splitlines()]
    assert ["0.50", "75.0%", "90.5%"] in rows
    assert ["0.95", "0.0%", "-"] in rows
    assert "faq 0.031, handbook 0.200" in text


def test_the_worst_come_first() -> None:
    """Wrong and sure, wrong and less sure, then declined."""
    assert [r.answer.confidence for r in worst(RESULTS)] == [0.8, 0.7, 0.2]
    assert len(worst(RESULTS * 20)) == 20


def test_a_useful_suggestion_is_no_mistake() -> None:
    """By its key words or by a gold span; nor is one of which nobody can say. One of no use stands with the declined ones."""
    span = answerable("citric acid")
    useful = replace(answered("citric acid", text="Unsure:\n\nUse **citric acid**."), outcome=Outcome.SUGGESTED)
    free = EvaluationQuestion("free", "What?", QuestionKind.ANSWERABLE, None, reference="It depends.")
    useless = [result(HELP, suggested("Paint the wheel.")), result(span, suggested("Use vinegar.", confidence=0.35))]
    fine = [result(HELP, suggested("Pull the lever.")), result(span, useful), result(free, suggested("It depends."))]
    missed = result(span, declined(0.32))
    assert worst([*fine, *useless, missed]) == [useless[0], missed, useless[1]]


def test_the_page_is_sound_and_loads_nothing(tmp_path: Path) -> None:
    page = Page(written(tmp_path / "new" / "report", RESULTS))
    assert page.open == []
    assert not page.tags & {"script", "link", "img", "iframe", "object", "a"}
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in page.text


def test_the_bounds_that_could_be_set_say_their_effect(tmp_path: Path) -> None:
    """Of the confidences 0.95, 0.8, 0.7, 0.3 and 0.2, of which the one of 0.3 has no text to answer with."""
    text = written(tmp_path, RESULTS)
    effects = dict(
        zip(
            *(re.findall(pattern, text) for pattern in (r'name="bound"[^>]*> ([\d.]+)', r'effect-\d+">(.*?)<')),
            strict=True,
        )
    )
    assert effects["0.5"] == "3 answered (right: 33%), 0 suggested, 2 declined; 0 questions change."
    assert effects["0.75"] == "2 answered (right: 50%), 1 suggested, 2 declined; 1 question changes."
    assert effects["0.15"] == "4 answered (right: 50%), 0 suggested, 1 declined; 1 question changes."
    assert re.search(r'id="bound-9" checked> 0.5 \(in use\)', text)
    # The bound of 0.75 lies between the second and the third row, of which the third changes.
    [rules] = [line for line in text.splitlines() if "#effect-14{" in line]
    assert "tr:nth-child(-n+2) .below" in rules
    assert "tr:nth-child(n+3) .above" in rules
    assert "tbody tr.bounded:nth-child(n+3):nth-child(-n+3)" in rules
    rows = re.findall(r"<tr( class=\"bounded\")?><td>([\d.]+)</td>.*?above\">(\w+)<.*?below\">(\w+)<", text)
    assert rows[2:] == [
        (' class="bounded"', "0.70", "answered", "suggested"),
        ("", "0.30", "declined", "declined"),
        (' class="bounded"', "0.20", "answered", "declined"),
    ]


def test_what_people_write_is_shown_and_never_run(tmp_path: Path) -> None:
    text = written(tmp_path, RESULTS, title=HOSTILE)
    page = Page(text)
    assert "<script" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert page.tags & {"b", "i"} == set()
    assert page.text.count(f"What? {HOSTILE}") == 2  # by its confidence, and as a mistake
    assert f"no {HOSTILE}" in page.text
    assert "<i>.md" in page.text
    assert "gold.md › Install › Linux, lines 3-4" in page.text


def test_a_mistake_is_shown_with_all_there_is_to_know(tmp_path: Path) -> None:
    text = Page(written(tmp_path, RESULTS)).text
    assert "answered wrongly with a confidence of 0.80" in text
    assert "declined with a confidence of 0.20" in text
    assert "Foundnear.md" in text
    assert "Nothing: the documents don't answer this." in text


def test_each_plot_is_well_formed_and_shares_no_id(tmp_path: Path) -> None:
    text = written(tmp_path, RESULTS)
    plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314 - ours
    assert len(plots) == 4
    ids = Page(text).ids
    assert len(ids) == len(set(ids)) > 0
    for plot in plots:
        own = {element.get("id") for element in plot.iter()}
        used = re.findall(r'(?:url\(|href=")#([^)"]+)', ElementTree.tostring(plot, encoding="unicode"))
        assert used
        assert own.issuperset(used)


def test_plots_take_the_pages_text_colour(tmp_path: Path) -> None:
    svgs = re.findall(r"<svg.*?</svg>", written(tmp_path, RESULTS), re.DOTALL)
    assert all("currentColor" in svg for svg in svgs)
    assert not re.search(r"#000000|#ffffff|#010203", "".join(svgs))


@pytest.mark.parametrize("results", [[], RESULTS[3:4]])
def test_what_can_t_be_drawn_is_said(tmp_path: Path, results: Sequence[EvaluationResult]) -> None:
    assert "There is nothing to draw." in written(tmp_path, results)


def test_the_figures_stand_beside_the_page(tmp_path: Path) -> None:
    written(tmp_path, RESULTS)
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures == json.loads(json.dumps(measure(RESULTS).to_json()))


def test_without_matplotlib_the_figures_are_kept_and_the_fix_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BotError, match=r'\.venv/bin/pip install -c constraints\.txt -e "\.\[report\]"'):
        require_matplotlib()
    with pytest.raises(BotError, match="matplotlib"):
        written(tmp_path, RESULTS)
    assert (tmp_path / "figures.json").is_file()


def test_a_folder_that_can_t_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BotError, match=r"file: the report can't be written \(File exists\)"):
        written(tmp_path / "file", RESULTS)
