import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from clipsweep.analysis.figures.conditions import ConditionLine, condition_figure
from clipsweep.analysis.figures.curves import curve_panels
from clipsweep.analysis.figures.style import LINE_COLORS, legend_of
from clipsweep.analysis.report.page import ReportFacts, write_report
from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.winners.scores import estimated_score
from tests.analysis.store.test_table import failed, stored_row
from tests.analysis.winners.test_winner import make_point, rows_of

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
LINES = [
    ConditionLine(module="attn", values={0: 2e3, 1: 8e3, 5: 9e2}, chosen=(5,)),
    ConditionLine(module="mlp", values={0: 8.0, 1: math.inf, 5: 14.0}, chosen=(5,)),
    ConditionLine(module="q", values={}),
]
FACTS = ReportFacts(study="a <study>", facts={"model": "m"}, conditions=LINES)
POINTS = [make_point(None), *(make_point(layer, rate) for layer in (0, 5) for rate in (0.5, 0.9))]


def answered() -> Mapping[str, StoredRow]:
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
    ((title, figure),) = curve_panels(POINTS, answered())
    assert title == "mlp clipped, 4 shots"
    assert [trace.name for trace in figure.data] == ["layer 0", "layer 5", "baseline", "best: layer 5 at 0.9"]
    assert list(figure.data[1].y) == [0.6, 0.8]
    assert figure.data[2].line.dash == "dash"
    assert (figure.data[3].marker.symbol, list(figure.data[3].y)) == ("star", [0.8])


def test_a_point_that_has_not_run_leaves_a_gap() -> None:
    rows = answered()
    del rows["mlp-5-0.9-0"]
    for points in (POINTS, POINTS[:-1]):  # as points without rows are left out
        ((_, figure),) = curve_panels(points, rows)
        assert list(figure.data[1].x) == ["0.5", "0.9"]
        assert list(figure.data[1].y) == [0.6, None]
        assert list(figure.data[1].marker.symbol) == ["circle", "circle"]


def test_a_stopped_point_is_drawn_as_an_open_circle_where_it_is_estimated_to_be() -> None:
    rows = answered()
    rows["mlp-5-0.9-0"] = stored_row("mlp-5-0.9-0", outcomes=(True, False, True)) | {"state": "pruned"}
    ((_, figure),) = curve_panels(POINTS, rows)
    assert list(figure.data[1].marker.symbol) == ["circle", "circle-open"]
    assert list(figure.data[1].y) == [0.6, estimated_score(POINTS[4], rows)]
    assert legend_of(figure)[2][::2] == ("estimated from fewer rows", "circle-open")


def test_the_report_counts_all_points_of_a_grid_and_those_begun_of_a_search(tmp_path: Path) -> None:
    for total, words in ((99, "5 of 99 points evaluated"), (None, "5 of 5 points evaluated")):
        write_report(tmp_path / "r.html", replace(FACTS, points_total=total), POINTS, answered())
        assert words in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_points_without_a_baseline_point_among_them_still_have_the_baseline_line() -> None:
    ((_, figure),) = curve_panels([point for point in POINTS if point.clips], answered())
    assert (figure.data[2].name, list(figure.data[2].y)) == ("baseline", [0.5, 0.5])


def test_condition_numbers_have_a_line_for_each_module_on_a_log_axis_and_stars_at_the_chosen_layers() -> None:
    figure = condition_figure(LINES[:2])
    assert [trace.name for trace in figure.data] == ["attn", "mlp", "clipped: attn of layer 5, mlp of layer 5"]
    assert (list(figure.data[0].x), list(figure.data[0].y)) == ([0, 1, 5], [2e3, 8e3, 9e2])
    assert (list(figure.data[2].x), list(figure.data[2].y)) == ([5, 5], [9e2, 14.0])
    assert figure.layout.yaxis.type == "log"
    assert [mark for _, _, mark in legend_of(figure)] == ["line", "line", "star"]


def test_an_infinite_condition_number_leaves_a_gap() -> None:
    assert list(condition_figure(LINES[:2]).data[1].y) == [8.0, None, 14.0]


def test_many_chosen_layers_are_not_listed_in_the_legend() -> None:
    line = ConditionLine(module="mlp", values=dict.fromkeys(range(9), 2.0), chosen=tuple(range(5)))
    assert condition_figure([line]).data[-1].name == "clipped layers"


def test_no_module_is_drawn_in_the_color_of_the_stars() -> None:
    assert len(set(LINE_COLORS)) == 9
    assert "#d62728" not in map(str.lower, LINE_COLORS)


def test_the_condition_numbers_are_in_the_report_only_where_some_are_measured(page: Path, tmp_path: Path) -> None:
    assert "Condition number by layer" in page.read_text(encoding="utf-8")
    assert "a gap is a singular matrix" in page.read_text(encoding="utf-8")
    write_report(tmp_path / "r.html", ReportFacts(study="s", facts={}, conditions=LINES[2:]), POINTS, {})
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
    write_report(tmp_path / "r.html", FACTS, POINTS, {})
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
