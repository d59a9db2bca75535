import re
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from analysis.figures import figure_panels
from analysis.report import ReportFacts, write_report
from analysis.table import Row
from tests.analysis.test_table import failed
from tests.analysis.test_winners import make_point, rows_of

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
FACTS = ReportFacts(study="a <study>", facts={"model": "m"})
POINTS = [make_point(None), *(make_point(layer, rate) for layer in (0, 5) for rate in (0.5, 0.9))]


def answered() -> dict[str, Row]:
    return rows_of(base=[5], mlp_0_0__5=[3], mlp_0_0__9=[2], mlp_5_0__5=[6], mlp_5_0__9=[8])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    rows = answered() | {"mlp-0-0.9-0": failed(trial_id="mlp-0-0.9-0"), "x": failed(trial_id="x", error="of another")}
    write_report(tmp_path / "report.html", FACTS, POINTS, rows)
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


def test_a_panel_has_a_line_for_each_layer_the_baseline_and_the_best_point() -> None:
    ((title, figure),) = figure_panels(POINTS, answered())
    assert title == "mlp clipped, 4 shots"
    assert [trace.name for trace in figure.data] == ["layer 0", "layer 5", "baseline", "best: layer 5 at 0.9"]
    assert list(figure.data[1].y) == [0.6, 0.8]
    assert figure.data[2].line.dash == "dash"
    assert (figure.data[3].marker.symbol, list(figure.data[3].y)) == ("star", [0.8])


def test_a_point_that_has_not_run_leaves_a_gap() -> None:
    rows = answered()
    del rows["mlp-5-0.9-0"]
    ((_, figure),) = figure_panels(POINTS, rows)
    assert list(figure.data[1].y) == [0.6, None]


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
    write_report(tmp_path / "r.html", FACTS, POINTS, {})
    assert "No winner yet" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the PATH")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_in_a_browser_and_fits_its_width(page: Path, browser: webdriver.Chrome, width: int) -> None:
    browser.set_window_size(width, 900)
    browser.get(page.as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer .trace")) == 4
    assert "+30.0" in browser.find_element(By.CSS_SELECTOR, ".verdict .gain").text
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
