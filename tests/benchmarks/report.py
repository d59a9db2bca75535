"""What the report costs: written of 10,000 and of a million trials, opened in a browser, and two studies compared.

The studies are made up (``stored_studies``). The page is opened in headless Chromium, which must be on the PATH.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from selenium import webdriver

from tests.analysis.report.browser import (
    HAS_BROWSER,
    open_browser,
    picture,
    requested,
    severe_messages,
    show,
    violations,
    wait_for,
)
from tests.benchmarks.document import Line, at_most, print_document, tell
from tests.benchmarks.scale import MANY, QUICK_MANY, ROWS_PER_FILE, cost_of
from tests.benchmarks.stored_studies import Axes, make_study, store_rows

TEN_THOUSAND = Axes(40)  # 10,081 trials
SCREENS = [(width, dark) for width in (390, 1440) for dark in (False, True)]


def written_lines(folder: Path) -> Iterator[Line]:
    """The report of 10,000 trials: how long it takes to write, and how large it is."""
    opened = make_study(folder, TEN_THOUSAND)
    store_rows(opened, ROWS_PER_FILE)
    name = f"report, {len(opened.space):,} trials"
    cost = cost_of("report", str(folder))
    yield at_most(name, cost.seconds, "s", 20)
    yield Line(name=f"{name}, processor time", value=cost.processor_seconds, unit="s")
    yield Line(name=f"{name}, peak memory", value=cost.megabytes, unit="MB")
    yield at_most(f"{name}, size", (folder / "report.html").stat().st_size / 1e6, "MB", 8)


def opened_lines(page: Path, pictures: Path | None) -> Iterator[Line]:
    """The page in a browser: when its first figure is there, what it says, asks for, and does wrong."""
    with tempfile.TemporaryDirectory(prefix="profile") as profile, open_browser(Path(profile)) as browser:
        show(browser, page, width=1440)  # the browser itself starts, and reads the file from disk
        yield at_most("opened, until the first figure is visible", _seconds_to_first(browser, page), "s", 2)
        yield at_most("sorted and filtered by a word", _seconds_to_filter(browser), "s", 1)
        for width, dark in SCREENS:
            show(browser, page, width=width, dark=dark)
            name = f"{width} px, {'dark' if dark else 'light'}"
            found = violations(browser)
            yield at_most(f"{name}: violations of serious or critical weight (axe-core)", len(found), "", 0)
            yield at_most(f"{name}: errors in the console", len(severe_messages(browser)), "", 0)
            yield at_most(f"{name}: network requests", len(requested(browser)), "", 0)
            if pictures is not None:
                picture(browser, pictures / f"{width}-{'dark' if dark else 'light'}.png")


def _seconds_to_first(browser: webdriver.Chrome, page: Path) -> float:
    began = time.perf_counter()
    browser.get(page.as_uri())
    wait_for(browser, "document.querySelector('.plot svg.main-svg')")
    return time.perf_counter() - began


def _seconds_to_filter(browser: webdriver.Chrome) -> float:
    """From the first key of a word to the rows that fit, sorted."""
    began = time.perf_counter()
    browser.find_element("id", "trial-find").send_keys("fc_out")
    wait_for(browser, "document.getElementById('trial-status').textContent.includes('that fit')")
    return time.perf_counter() - began


def million_lines(folder: Path, *, quick: bool) -> Iterator[Line]:
    """The report of a million rows, which shows a sample."""
    opened = make_study(folder, QUICK_MANY if quick else MANY)
    store_rows(opened, ROWS_PER_FILE)
    name = f"report, {len(opened.space):,} rows"
    cost = cost_of("report", str(folder))
    yield at_most(name, cost.seconds, "s", 60)
    yield Line(name=f"{name}, processor time", value=cost.processor_seconds, unit="s")
    yield at_most(f"{name}, peak memory", cost.megabytes, "MB", 2000)
    yield at_most(f"{name}, size", (folder / "report.html").stat().st_size / 1e6, "MB", 8)


def compared_lines(one: Path, other: Path) -> Iterator[Line]:
    """Two studies of 10,000 rows side by side."""
    store_rows(make_study(other, TEN_THOUSAND), ROWS_PER_FILE)
    cost = cost_of("compare", str(one), str(other))
    yield at_most("compare, two studies of 10,081 rows", cost.seconds, "s", 5)
    yield Line(name="compare, processor time", value=cost.processor_seconds, unit="s")


def measure(*, quick: bool, pictures: Path | None) -> Sequence[Line]:
    """All lines, told as they come."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="report") as name:
        folder = Path(name)
        for found in (
            written_lines(folder / "study"),
            compared_lines(folder / "study", folder / "other"),
            opened_lines(folder / "study" / "report.html", pictures) if HAS_BROWSER else iter(()),
            million_lines(folder / "million", quick=quick),
        ):
            for line in found:
                lines += tell([line])
    if not HAS_BROWSER:
        print("no chromium and chromedriver on the PATH: the page was not opened", file=sys.stderr)
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows where there are most")
    parser.add_argument("--pictures", type=Path, help="a folder for screenshots")
    arguments = parser.parse_args()
    print_document(lambda: measure(quick=arguments.quick, pictures=arguments.pictures))
