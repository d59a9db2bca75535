import pytest

from clipsweep.analysis.drawing.chart import Chart, Estimates
from clipsweep.analysis.figures.theory.predicts import predicts_chart
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.figures.frames import marks_of
from tests.analysis.theory_study import theory_of, theory_points, theory_rows, theory_standings


@pytest.fixture(scope="module")
def chart() -> Chart:
    made = predicts_chart(theory_of(theory_standings()))
    assert made is not None
    return made


def test_each_quantity_has_its_correlation_and_both_intervals(chart: Chart) -> None:
    told = {each.quantity: each for each in theory_of(theory_standings()).predictions.of_all if each.rho is not None}
    drawn = [each for mark in marks_of(chart, Estimates) for each in zip(mark.x, mark.thin, mark.broad, strict=True)]
    assert sorted(drawn) == sorted((each.rho, each.by_layer, each.by_example) for each in told.values())
    words = [word for mark in marks_of(chart, Estimates) for word in mark.y]
    assert sorted(words) == sorted(f"{QUANTITIES[name].label}: {each.rho:+.2f}" for name, each in told.items())


def test_the_theory_stands_above_its_rivals_each_sorted_and_told_apart(chart: Chart) -> None:
    ours, rivals = marks_of(chart, Estimates)
    assert (ours.name, rivals.name) == ("the paper's theory", "rivals: the clip itself")
    from_top = list(reversed(chart.panels[0].y.categories))
    assert from_top == [*ours.y, *rivals.y]
    assert list(ours.x) == sorted(ours.x, reverse=True)
    assert list(rivals.x) == sorted(rivals.x, reverse=True)


def test_the_caption_tells_how_many_and_what_is_left_out(chart: Chart) -> None:
    assert "n = 24 trials, which clip 4 layers" in chart.caption
    assert "Left out, as they do not vary or were not measured: condition number, stable rank" in chart.caption


def test_of_too_few_trials_or_none_measured_nothing_is_drawn() -> None:
    few = theory_points()[:4]  # the untouched model and three clips
    assert predicts_chart(theory_of(Standings(few, theory_rows(few)))) is None
    assert predicts_chart(theory_of(theory_standings(measured=False))) is None
    assert predicts_chart(None) is None
