import re
from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.report.pages import made_up_facts, made_up_points, made_up_rows, write_made_up


@pytest.fixture(scope="module")
def standings() -> Standings:
    points = made_up_points()
    return Standings(points, made_up_rows(points).latest())


def written(path: Path, facts: ReportFacts, standings: Standings) -> str:
    write_report(path / "r.html", facts, standings)
    return (path / "r.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a reader sees, on one line."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", shown))


def test_the_verdict_stands_before_the_first_number(standings: Standings, tmp_path: Path) -> None:
    text = text_of(written(tmp_path, made_up_facts(standings), standings))
    verdict, winner = text.index("Gains about 20 points; unlikely to be chance"), text.index("Winner: ")
    assert verdict < winner < text.index("+20.0") < text.rindex("What was run")


def test_the_card_has_the_test_scores_of_both(standings: Standings, tmp_path: Path) -> None:
    text = text_of(written(tmp_path, made_up_facts(standings), standings))
    assert "accuracy on test, clipped0.7000 untouched: 0.5000, same shots" in text
    assert "what it keeps98.00 % of the parameters: 98 of 100" in text


def test_the_card_of_the_untouched_model_has_no_clipped_score_and_no_gain(standings: Standings, tmp_path: Path) -> None:
    lost = replace(standings.points[1], can_win=False)
    text = text_of(written(tmp_path, made_up_facts(standings), Standings([standings.points[0], lost], standings.rows)))
    assert "accuracy on test, untouched0.5000 accuracy on validation, untouched0.5000" in text
    assert "clipped0" not in text
    assert "McNemar" not in text


def test_while_the_untouched_model_alone_is_complete_there_is_no_winner(standings: Standings, tmp_path: Path) -> None:
    text = text_of(written(tmp_path, made_up_facts(standings), Standings(standings.points[:1], standings.rows)))
    assert "No winner yet It needs a baseline and one more complete trial." in text


def test_the_report_counts_all_points_of_a_grid_and_those_begun_of_a_search(
    standings: Standings, tmp_path: Path
) -> None:
    facts = made_up_facts(standings)
    for total, words in ((99, "73 of 99 points evaluated"), (None, "73 of 74 points evaluated")):  # one failed
        assert words in written(tmp_path, replace(facts, points_total=total), standings)


def test_the_report_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    page = write_made_up(tmp_path / "r.html").read_text(encoding="utf-8")
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page)
    assert len(tags) > 3
    assert [tag for tag in tags if "http" in tag or "src=" in tag or "<link" in tag] == []


def test_an_empty_study_still_has_a_report(tmp_path: Path) -> None:
    empty = Standings([], Attempts.none().latest())
    page = written(tmp_path, ReportFacts(study="s", facts={}, no_flips="Nothing has changed."), empty)
    assert "No winner yet" in page
    assert "Nothing has changed." in page


def test_the_report_says_why_no_example_is_shown(standings: Standings, tmp_path: Path) -> None:
    facts = replace(made_up_facts(standings), flips=None, no_flips="They cannot be shown: no rows.")
    assert "They cannot be shown: no rows." in written(tmp_path, facts, standings)


def test_the_winner_stands_in_the_front_and_is_marked(standings: Standings, tmp_path: Path) -> None:
    page = written(tmp_path, made_up_facts(standings), standings)
    front = page[page.index('id="front"') :].split("</section>")[0]
    assert front.count('data-label="winner">yes') == 1
