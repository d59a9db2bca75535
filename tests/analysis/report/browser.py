"""A headless Chromium that cannot reach any network, and what the tests of a page ask it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from axe_core_python.base import AXE_SCRIPT
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = which("chromium"), which("chromedriver")
HAS_BROWSER = bool(CHROMIUM and DRIVER)
HEIGHT = 900
SCRIPT_S = 120  # that a script of a test may take
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--disable-background-networking", "--proxy-server=127.0.0.1:9"),  # no way out
)


@contextmanager
def open_browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start the browser.

    Args:
        profile: A folder for what it keeps.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(SCRIPT_S)
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: webdriver.Chrome, page: Path, *, width: int, dark: bool = False) -> None:
    """Open a page as a phone or a desktop shows it, and wait until its first figure, if it has one, is drawn."""
    metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(page.as_uri())
    wait_for(driver, "!document.querySelector('.plot') || document.querySelector('.plot[data-drawn]')")


def wait_for(driver: webdriver.Chrome, condition: str, timeout_s: float = 20) -> None:
    """Wait until an expression of the page is true.

    Raises:
        TimeoutException: It never is.
    """
    WebDriverWait(driver, timeout_s, poll_frequency=0.05).until(lambda d: d.execute_script(f"return !!({condition})"))


def severe_messages(driver: webdriver.Chrome) -> list[str]:
    """What the console has said of errors since it was last asked."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def requested(driver: webdriver.Chrome) -> list[str]:
    """Addresses that have been asked for since this was last asked, but those inside the page and of files."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [url for url in found if not url.startswith(("file:", "data:", "blob:", "about:", "chrome"))]


def violations(driver: webdriver.Chrome) -> list[str]:
    """What axe-core finds of serious or critical weight: its rule, and the elements."""
    driver.execute_script(AXE_SCRIPT)
    asked = "axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])"
    found: dict[str, Any] = driver.execute_async_script(asked)
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']][:5]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def picture(driver: webdriver.Chrome, path: Path) -> None:
    """Write the whole page as a PNG, with all its figures drawn."""
    for number in range(driver.execute_script("return plots.length")):
        driver.execute_script(f"if (!plots[{number}].dataset.drawn) draw(plots[{number}])")
    height = driver.execute_script("return document.documentElement.scrollHeight")
    width = driver.execute_script("return window.innerWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))


def printed(driver: webdriver.Chrome, path: Path) -> None:
    """Write the page as it is printed, as a PDF."""
    pdf = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False, "preferCSSPageSize": True})
    path.write_bytes(base64.b64decode(pdf["data"]))
