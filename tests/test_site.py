"""The site: built without a warning, each page reachable, nothing fetched from elsewhere, made pages complete."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import clipsweep
from clipsweep.orchestrator.editing.descriptions import DESCRIPTIONS
from tests.analysis.report.browser import HAS_BROWSER, open_browser, requested, severe_messages, show, violations
from tests.documents import DOCS, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning, such as that of an orphan, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-d", str(folder / "read")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert built.stdout + built.stderr == ""
    return folder / "site"


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")}
    assert pages <= {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}


def test_no_page_asks_for_anything_from_elsewhere(site: Path) -> None:
    places = r"<script[^>]*\ssrc=|<img[^>]*\ssrc=|<link[^>]*\shref=|url\(|@import"
    asked = rf"(?:{places})\s*[\"']?((?:https?:)?//[^\"')\s]+)"
    files = [path for ending in ("html", "css") for path in site.rglob(f"*.{ending}")]
    assert len(files) > 30
    assert [hit for path in files for hit in re.findall(asked, path.read_text(encoding="utf-8"))] == []


@pytest.mark.skipif(not HAS_BROWSER, reason="needs chromium and chromedriver on the PATH")
def test_pages_fit_a_phone_break_no_rule_of_access_and_fetch_nothing(site: Path, tmp_path: Path) -> None:
    with open_browser(tmp_path / "profile") as browser:
        for page, width, dark in (("reference/python", 390, False), ("notebook", 390, True), ("costs", 1440, False)):
            show(browser, site / f"{page}.html", width=width, dark=dark)
            assert violations(browser) == []
            assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
            assert severe_messages(browser) == []
            assert requested(browser) == []


def test_every_key_of_a_study_file_has_its_line(site: Path) -> None:
    text = text_of(site / "reference" / "study-file.html")
    assert [key for key in DESCRIPTIONS if key not in text] == []


def test_every_public_name_and_every_command_has_its_entry(site: Path) -> None:
    names = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in clipsweep.__all__ if f'id="clipsweep.{name}"' not in names] == ["__version__"]
    commands = text_of(site / "reference" / "commands.html")
    for words in ("clipsweep run [OPTIONS]", "clipsweep model show [OPTIONS]", "--dry-run", "--against OTHER"):
        assert words in commands
