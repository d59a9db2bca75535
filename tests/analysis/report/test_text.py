"""The report of a study of text."""

import json
import re
from pathlib import Path

import pytest

from tests.analysis.text_study import write_text_report


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = write_text_report(tmp_path_factory.mktemp("report") / "report.html")
    return path.read_text(encoding="utf-8")


def test_the_answer_is_one_of_perplexity(page: str) -> None:
    headline = re.search(r'<h2 id="answer"[^>]*>(.*?)</h2>', page)
    assert headline is not None
    assert re.match(r"Perplexity falls from 2\d\.\d\d to 2\d\.\d\d \(0\.0\d{3} nats per token less\);", headline[1])
    assert "nats per token gained on test" in page
    assert "exact sign test over windows" in page


def test_tables_tell_nats_and_perplexity(page: str) -> None:
    text = " ".join(page.split())
    assert "Gains are in nats per token, on test rows where those have been run." in text
    assert "none is as good with fewer parameters" in text
    assert re.search(r">3\.\d{4} / 2\d\.\d\d</td>", text)
    assert re.search(r'<b>3\.\d{4}</b> <span class="soft">perplexity 21\.\d\d</span>', text)


def test_trials_are_sorted_by_gain_and_least_nll_first(page: str) -> None:
    found = re.search(r'id="trial-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    columns = {each["key"]: each for each in json.loads(found[1])["columns"]}
    assert (columns["score"]["label"], columns["score"]["down"]) == ("nll", False)
    assert (columns["gain"]["label"], columns["gain"]["digits"], columns["gain"]["down"]) == (
        "nats per token gained",
        4,
        True,
    )
    assert "Nats per token gained are against the untouched model on the same windows" in page


def test_it_says_that_no_example_can_change(page: str) -> None:
    assert "Texts are not answered right or wrong, so no example can change." in page
