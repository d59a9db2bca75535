"""The report in a real browser, by mouse and by keyboard, on a phone and a desktop, light and dark, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.report.spectrum_page import write_spectrum_report
from tests.analysis.figures.matrices.spectra import UP, Q, frame_of
from tests.analysis.report.browser import (
    HAS_BROWSER,
    open_browser,
    requested,
    severe_messages,
    show,
    violations,
    wait_for,
)
from tests.analysis.report.pages import HOSTILE, LONG, write_made_up
from tests.analysis.text_study import write_text_report
from tests.analysis.theory_study import theory_of, theory_standings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_BROWSER, reason="needs chromium and chromedriver on the PATH"),
]
PHONE, DESKTOP = 390, 1440


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_up(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def desktop(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    show(browser, page, width=DESKTOP)
    return browser


def heading(browser: webdriver.Chrome, label: str) -> WebElement:
    (found,) = [each for each in browser.find_elements(By.CSS_SELECTOR, "#trial-table th button") if each.text == label]
    return found


def column(browser: webdriver.Chrome, key: str) -> list[str]:
    """What stands in a column of the table of trials, on the page that is shown."""
    script = f"return [...document.querySelectorAll('#trial-table td.{key}')].map((each) => each.textContent)"
    return list(browser.execute_script(script))


def sorting(browser: webdriver.Chrome, label: str) -> str:
    return str(heading(browser, label).find_element(By.XPATH, "..").get_attribute("aria-sort"))


def cut_off(browser: webdriver.Chrome, selector: str) -> int:
    """How many elements hold more than their width shows."""
    wide = f"[...document.querySelectorAll('{selector}')].filter((each) => each.scrollWidth > each.clientWidth + 1)"
    return int(browser.execute_script(f"return {wide}.length"))


def status(browser: webdriver.Chrome) -> str:
    return str(browser.find_element(By.ID, "trial-status").text)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_breaks_no_rule_of_access_and_asks_for_nothing(
    browser: webdriver.Chrome, page: Path, width: int, dark: bool
) -> None:
    show(browser, page, width=width, dark=dark)
    browser.execute_script("for (const plot of plots) draw(plot)")
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert severe_messages(browser) == []
    assert requested(browser) == []


def test_the_part_about_the_theory_fits_and_its_figures_are_drawn(browser: webdriver.Chrome, tmp_path: Path) -> None:
    standings, path = theory_standings(), tmp_path / "theory.html"
    facts = ReportFacts(study="s", facts={}, no_flips="None.", theory=theory_of(standings))
    write_report(path, facts, standings)
    show(browser, path, width=PHONE, dark=True)
    browser.find_element(By.CSS_SELECTOR, "nav a[href='#theory']").click()
    browser.execute_script("for (const plot of plots) draw(plot)")
    script = "return [...document.querySelectorAll('#theory ~ figure .plot')].map((plot) => plot.dataset.drawn)"
    assert browser.execute_script(script) == ["yes"] * 14  # 1 of correlations, 6 of trials, 4 of reach, 3 of norms
    steps = "return plots.map((plot) => plot.querySelectorAll('.shapelayer path').length)"
    assert max(browser.execute_script(steps)) > 0  # the line through cells, and those at zero
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert severe_messages(browser) == []
    assert requested(browser) == []


def test_a_heading_sorts_by_mouse_and_turns_the_order_around(desktop: webdriver.Chrome) -> None:
    assert sorting(desktop, "accuracy") == "descending"  # the best first, before anything is pressed
    heading(desktop, "clip rate").click()
    rates = column(desktop, "rate")
    assert rates == sorted(rates)
    assert sorting(desktop, "clip rate") == "ascending"
    heading(desktop, "clip rate").click()
    assert column(desktop, "rate")[0] == "0.99"
    assert (sorting(desktop, "clip rate"), sorting(desktop, "accuracy")) == ("descending", "none")


def test_a_heading_sorts_by_keyboard_and_says_so(desktop: webdriver.Chrome) -> None:
    button = heading(desktop, "layer")
    desktop.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert set(column(desktop, "layer")) == {"0", "1"}
    assert status(desktop).endswith("by layer.")
    button.send_keys(Keys.SPACE)
    assert set(column(desktop, "layer")) == {"5", "4"}
    assert status(desktop).endswith("by layer, largest first.")


def test_what_has_no_value_comes_last_in_either_order(desktop: webdriver.Chrome) -> None:
    for _ in range(2):
        heading(desktop, "layer").click()
        assert "–" not in column(desktop, "layer")
        desktop.find_element(By.ID, "page-last").click()
        assert column(desktop, "layer")[-1] == "–"


def test_by_score_complete_trials_come_before_those_that_saw_fewer_rows(desktop: webdriver.Chrome) -> None:
    assert status(desktop).endswith("by accuracy, largest first, complete trials before others.")
    states = ["complete", "pruned", "failed"]
    for _ in range(2):
        heading(desktop, "accuracy").click()
        assert set(column(desktop, "state")) == {"complete"}
        desktop.find_element(By.ID, "page-last").click()
        assert column(desktop, "state")[-2:] == states[1:]
        scores = [float(each) for each in column(desktop, "score")[-3:-1]]
        assert scores[1] == max(scores) == 1.0  # the highest of all, of four rows


def test_trials_are_filtered_by_words_and_by_values(desktop: webdriver.Chrome) -> None:
    select = Select(desktop.find_element(By.CSS_SELECTOR, "select[data-column=module]"))
    select.select_by_visible_text("attn")
    assert set(column(desktop, "module")) == {"attn"}
    desktop.find_element(By.ID, "trial-find").send_keys("layer 4 validation")
    wait_for(desktop, "document.getElementById('trial-status').textContent.includes(' 6 that fit')")
    assert set(column(desktop, "layer")) == {"4"}
    desktop.find_element(By.ID, "trial-find").send_keys(" no such word")
    wait_for(desktop, "document.getElementById('trial-status').textContent.startsWith('Trials 0 that fit')")


def test_the_filters_follow_each_other_by_tab(desktop: webdriver.Chrome) -> None:
    find = desktop.find_element(By.ID, "trial-find")
    find.send_keys("failed", Keys.TAB)
    assert desktop.switch_to.active_element.get_attribute("data-column") == "module"
    wait_for(desktop, "document.getElementById('trial-status').textContent.includes(' 1 that fit')")
    assert column(desktop, "state") == ["failed"]


def test_more_trials_than_a_page_holds_are_turned_by_keyboard(desktop: webdriver.Chrome) -> None:
    assert len(column(desktop, "score")) == 25
    first = column(desktop, "order")
    desktop.find_element(By.ID, "page-next").send_keys(Keys.ENTER)
    assert not set(first) & set(column(desktop, "order"))
    assert status(desktop).startswith("Trials 26 to 50 of 148")


def test_the_first_tab_stop_leads_past_everything_to_the_answer(desktop: webdriver.Chrome) -> None:
    desktop.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    link = desktop.switch_to.active_element
    assert link.text == "Skip to the answer"
    assert desktop.execute_script("return getComputedStyle(arguments[0]).outlineStyle", link) != "none"
    link.send_keys(Keys.ENTER)
    assert desktop.switch_to.active_element.get_attribute("id") == "answer"


def test_headings_come_in_order_and_every_figure_is_named_and_described(desktop: webdriver.Chrome) -> None:
    levels = [int(each.tag_name[1]) for each in desktop.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4")]
    assert levels[:2] == [1, 2]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    plots = desktop.find_elements(By.CSS_SELECTOR, ".plot")
    assert plots
    for plot in plots:
        for attribute in ("aria-labelledby", "aria-describedby"):
            named = desktop.find_element(By.ID, plot.get_attribute(attribute) or "")
            assert named.text


def test_texts_from_elsewhere_are_shown_and_not_run(desktop: webdriver.Chrome) -> None:
    assert desktop.execute_script("return window.broken") is None
    assert desktop.find_elements(By.CSS_SELECTOR, "b[onclick]") == []
    shown = desktop.execute_script("return document.querySelector('main').textContent")
    assert shown.count(HOSTILE) >= 4  # a fact, a note, an example, an error


def test_losses_are_shown_as_openly_as_gains(desktop: webdriver.Chrome) -> None:
    assert [each.is_displayed() for each in desktop.find_elements(By.CSS_SELECTOR, ".examples")] == [True, True]


def test_a_long_example_is_cut_and_its_rest_opens_by_keyboard(desktop: webdriver.Chrome) -> None:
    (inner,) = desktop.find_elements(By.CSS_SELECTOR, ".examples li:nth-child(2) details")
    rest = inner.find_element(By.CSS_SELECTOR, ".text")
    assert not rest.is_displayed()
    inner.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert rest.is_displayed()
    assert LONG.strip().endswith(rest.text)


def test_the_first_figure_is_drawn_at_once_and_the_others_as_they_come_near(desktop: webdriver.Chrome) -> None:
    drawn = "document.querySelectorAll('.plot[data-drawn]').length"
    plots = desktop.find_elements(By.CSS_SELECTOR, ".plot")
    assert 1 <= desktop.execute_script(f"return {drawn}") < len(plots)
    desktop.execute_script("arguments[0].scrollIntoView()", plots[-1])
    wait_for(desktop, "plots.at(-1).querySelector('svg')")


def test_figures_follow_the_screen_into_the_dark_and_back(desktop: webdriver.Chrome) -> None:
    color = "return plots[0]._fullLayout.font.color"
    light = desktop.execute_script(color)
    for scheme in ("dark", "light"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        desktop.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        expected = f"plots[0]._fullLayout.font.color {'!==' if scheme == 'dark' else '==='} '{light}'"
        wait_for(desktop, expected)


def test_on_paper_nothing_is_cut_and_no_figure_is_split(desktop: webdriver.Chrome) -> None:
    desktop.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    paper = {"width": 700, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    desktop.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", paper)
    desktop.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert len(desktop.find_elements(By.CSS_SELECTOR, ".plot[data-drawn] svg.main-svg")) > 0
    assert desktop.execute_script("return plots.every((plot) => plot.dataset.drawn)")
    assert desktop.execute_script("return document.documentElement.scrollWidth") <= 700
    assert cut_off(desktop, ".scroll, .plot") == 0
    kept = "return [...document.querySelectorAll('.panel')].map((each) => getComputedStyle(each).breakInside)"
    assert set(desktop.execute_script(kept)) == {"avoid"}
    assert desktop.find_element(By.CSS_SELECTOR, ".examples li:nth-child(2) details .text").is_displayed()
    desktop.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_tables_are_read_without_scrolling_sideways(browser: webdriver.Chrome, page: Path, width: int) -> None:
    show(browser, page, width=width)
    assert browser.find_elements(By.CSS_SELECTOR, ".scroll td.clip")
    assert cut_off(browser, ".scroll") == 0


def test_the_page_of_singular_values_fits_breaks_no_rule_of_access_and_asks_for_nothing(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    path = tmp_path / "spectrum.html"
    write_spectrum_report(path, "m", {"model": "m"}, frame_of(tmp_path, *Q, *UP))
    show(browser, path, width=PHONE, dark=True)
    browser.execute_script("for (const plot of plots) draw(plot)")
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert severe_messages(browser) == []
    assert requested(browser) == []


def test_trials_of_text_begin_with_the_largest_gain_and_sort_by_the_least_nll(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    show(browser, write_text_report(tmp_path / "report.html"), width=DESKTOP)
    assert sorting(browser, "nats per token gained") == "descending"
    heading(browser, "nll").click()
    assert sorting(browser, "nll") == "ascending"
    shown = [float(each) for each in column(browser, "score")]
    assert shown == sorted(shown)
    assert set(column(browser, "state")) == {"complete"}  # before the one that was stopped
    assert not violations(browser)
    show(browser, tmp_path / "report.html", width=PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE
