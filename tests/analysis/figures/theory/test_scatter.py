from clipsweep.analysis.drawing.chart import Dots
from clipsweep.analysis.figures.theory.scatter import MOST_DOTS, scatter_chart, telling
from tests.analysis.figures.frames import marks_of
from tests.analysis.theory_study import BLOCKS, RATES, theory_of, theory_standings


def test_a_dot_has_what_its_trial_changed_and_gained_and_the_colour_of_its_layer() -> None:
    theory = theory_of(theory_standings())
    chart = scatter_chart(theory)
    assert chart is not None
    (dots,) = marks_of(chart, Dots)
    assert chart.panels[0].title == "attn: Σ change of log‖G_t‖"
    mine = [trial for trial in theory.changes.trials if trial.module == "attn"]
    assert list(dots.x) == [trial.quantities["sum_implicit_gradient"] for trial in mine]
    assert list(dots.y) == [100 * trial.gain for trial in mine]
    assert dots.color == [float(trial.layer) for trial in mine]
    assert chart.color_bar is not None
    assert (chart.color_bar.low, chart.color_bar.high) == (0, BLOCKS - 1)


def test_the_theorys_own_number_comes_first_then_another_norm_then_a_rival() -> None:
    names = telling(theory_of(theory_standings()).predictions.of_all)
    assert names == ["sum_implicit_gradient", "sum_delta_w", "clip_rate"]


def test_modules_have_panels_of_their_own() -> None:
    chart = scatter_chart(theory_of(theory_standings()))
    assert chart is not None
    assert [panel.title.partition(":")[0] for panel in chart.panels] == ["attn", "mlp"] * 3
    assert chart.columns == 2


def test_of_very_many_trials_some_are_drawn_and_the_caption_says_so() -> None:
    rates = [number / 1000 for number in range(1, 2 * MOST_DOTS // BLOCKS)]
    chart = scatter_chart(theory_of(theory_standings(rates=rates)))
    assert chart is not None
    for panel in range(len(chart.panels)):
        (dots,) = marks_of(chart, Dots, panel)
        assert len(dots.x) == MOST_DOTS
    assert f"Of a panel with more, {MOST_DOTS} are drawn" in chart.caption
    small = scatter_chart(theory_of(theory_standings()))
    assert small is not None
    assert "are drawn" not in small.caption
    assert len(marks_of(small, Dots)[0].x) == BLOCKS * len(RATES)
