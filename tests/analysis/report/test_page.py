import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from clipsweep.analysis.figures.conditions import ConditionLine
from clipsweep.analysis.report.page import ReportFacts, write_report
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.figures.test_conditions import LINES
from tests.analysis.figures.test_curves import POINTS, answered
from tests.analysis.store.rows import failed_row

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
UNMEASURED = ConditionLine(module="q", values={})
FACTS = ReportFacts(study="a <study>", facts={"model": "m"}, conditions=[*LINES, UNMEASURED])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    failures = [failed_row(trial_id="mlp-0-0.9-0"), failed_row(trial_id="x", error="of another")]
    rows = answered() | {row.trial_id: row for row in failures}
    write_report(tmp_path / "report.html", FACTS, Standings(POINTS, rows))
    return tmp_path / "report.html"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Headless Chromium that cannot reach any network."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--proxy-server=127.0.0.1:9", f"--user-data-dir={tmp_path / 'profile'}"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_the_report_counts_all_points_of_a_grid_and_those_begun_of_a_search(tmp_path: Path) -> None:
    for total, words in ((99, "5 of 99 points evaluated"), (None, "5 of 5 points evaluated")):
        write_report(tmp_path / "r.html", replace(FACTS, points_total=total), Standings(POINTS, answered()))
        assert words in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_condition_numbers_are_in_the_report_only_where_some_are_measured(page: Path, tmp_path: Path) -> None:
    assert "Condition number by layer" in page.read_text(encoding="utf-8")
    assert "a gap is a singular matrix" in page.read_text(encoding="utf-8")
    write_report(tmp_path / "r.html", ReportFacts(study="s", facts={}, conditions=[UNMEASURED]), Standings(POINTS, {}))
    assert "Condition number by layer" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_report_refers_to_nothing_outside_itself(page: Path) -> None:
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8").split("</main>")[0])
    assert "<script>" in tags
    assert [tag for tag in tags if "http" in tag or "src=" in tag] == []


def test_names_are_escaped_and_failures_listed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "a &lt;study&gt;" in text
    assert "boom" in text
    assert "of another" not in text


def test_an_empty_study_still_has_a_report(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", FACTS, Standings(POINTS, {}))
    assert "No winner yet" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the PATH")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_in_a_browser_and_fits_its_width(page: Path, browser: webdriver.Chrome, width: int) -> None:
    browser.set_window_size(width, 900)
    browser.get(page.as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer .trace")) == 4 + 3
    assert "+30.0" in browser.find_element(By.CSS_SELECTOR, ".verdict .gain").text
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
