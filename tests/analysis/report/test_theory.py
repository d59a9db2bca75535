"""The part of the report about the paper's theory: there where a study asked for it, with the answer first."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.theory.verdict import headline, verdict
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.report.test_page import text_of
from tests.analysis.theory_study import theory_of, theory_standings

FACTS = ReportFacts(study="s", facts={}, no_flips="Nothing has changed.")
TITLES = ("Does the theory tell which clip helps?", "Rank correlations with the gain")


@pytest.fixture(scope="module")
def standings() -> Standings:
    return theory_standings()


@pytest.fixture(scope="module")
def theory(standings: Standings) -> Theory:
    return theory_of(standings)


@pytest.fixture(scope="module")
def part(standings: Standings, theory: Theory, tmp_path_factory: pytest.TempPathFactory) -> str:
    page = page_of(tmp_path_factory.mktemp("asked"), standings, replace(FACTS, theory=theory))
    assert '<a href="#theory">' in page
    return page[page.index('<h2 id="theory">') :].split("</section>")[0]


def page_of(folder: Path, standings: Standings, facts: ReportFacts) -> str:
    write_report(folder / "r.html", facts, standings)
    return (folder / "r.html").read_text(encoding="utf-8")


def read(page: str) -> str:
    return html.unescape(text_of(page))


def test_the_answer_in_words_stands_before_the_figures_and_the_table(theory: Theory, part: str) -> None:
    said = [headline(theory.predictions), *verdict(theory.predictions)]
    places = [read(part).index(words) for words in (*said, *TITLES)]
    assert places == sorted(places)
    drawn = re.findall(r'<h3 id="figure-([\w-]+)">', part)
    assert drawn == ["theory-predicts", "theory-scatter", "theory-reach", "theory-trajectory"]


def test_the_cost_and_what_was_not_measured_are_told(part: str) -> None:
    said = "Measuring took 0.625 seconds, as much as 5.0 % of the trials' 12.5; where it was done afterwards"
    assert f"{said} it comes on top." in read(part)  # 25 trials
    assert "Note: singular values are not measured yet" in read(part)
    assert "layers are few, here 4" in read(part)


def test_a_study_that_did_not_ask_has_nothing_of_it_even_with_measured_rows(
    standings: Standings, tmp_path: Path
) -> None:
    page = page_of(tmp_path, standings, FACTS).partition('<script type="application/octet-stream"')[0]
    assert "theory" not in page


def test_a_study_with_too_few_trials_says_so(standings: Standings, tmp_path: Path) -> None:
    early = replace(FACTS, no_theory="it has 2 clipped trials; expected 4 or more.")
    text = read(page_of(tmp_path, standings, early))
    assert "It cannot be told yet whether the theory predicts what clips gain" in text
    assert "it has 2 clipped trials; expected 4 or more." in text
    assert TITLES[0] not in text
