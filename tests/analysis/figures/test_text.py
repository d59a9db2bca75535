"""Figures of a study of text: what they draw, and what does not apply."""

import pytest

from clipsweep.analysis.drawing.chart import Band, Chart, Dots, Heat, Line, Mark, Table
from clipsweep.analysis.figures.catalogue import make_figure, make_figures
from clipsweep.analysis.figures.scores.front import front_of
from clipsweep.analysis.frames.frames import Frames
from clipsweep.analysis.frames.point_frame import point_frame
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.trials.base.errors import StudyError
from tests.analysis.figures.frames import trials_frame
from tests.analysis.report.pages import made_up_points, made_up_rows
from tests.analysis.store.rows import changed
from tests.analysis.text_study import text_standings


@pytest.fixture(scope="module")
def frames() -> Frames:
    standings = text_standings()
    rows = standings.rows
    assert isinstance(rows, LatestRows)
    return Frames.of_trials(trial_frame(rows))


def chart_of(name: str, frames: Frames) -> Chart:
    made = make_figure(name, frames)
    assert isinstance(made, Chart)
    return made


def marks_of(chart: Chart, kind: type[Mark]) -> list[Mark]:
    return [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, kind)]


def test_what_is_about_answers_is_not_drawn_of_text(frames: Frames) -> None:
    assert {name for name, _ in make_figures(frames)} == {
        *("figure1", "figure4", "tables", "atlas", "front", "joint", "search"),
    }
    for name in ("agreement", "calibration"):
        with pytest.raises(StudyError, match=f"{name} needs .* of a task with (answers|labels); this study lacks that"):
            make_figure(name, frames)


def test_curves_say_that_less_is_better_and_star_the_least(frames: Frames) -> None:
    chart = chart_of("figure1", frames)
    assert "of which less is better" in chart.caption
    assert chart.panels[0].y.title == "validation nll, nats per token, less is better"
    assert marks_of(chart, Band)
    stars = [mark for mark in marks_of(chart, Dots) if isinstance(mark, Dots) and mark.symbol == "star"]
    lines = [mark for mark in marks_of(chart, Line) if isinstance(mark, Line)]
    assert stars[0].y[0] == min(value for line in lines[:4] for value in line.y if value is not None)
    assert "perplexity" in (stars[0].texts or [""])[0]


def test_the_atlas_has_gains_in_nats(frames: Frames) -> None:
    chart = chart_of("atlas", frames)
    assert chart.caption.startswith(
        "Fall of nll below the untouched model's on the same windows of validation, in nats"
    )
    heat = next(mark for mark in marks_of(chart, Heat) if isinstance(mark, Heat))
    assert heat.name == "fall of nll, nats per token"
    assert heat.z[3][0] == pytest.approx(0.045, abs=0.01)
    assert any(label.startswith("+0.04") for row in heat.labels or [] for label in row)


def test_the_front_and_the_search_get_better_as_nll_falls(frames: Frames) -> None:
    scores = front_of(frames.points[frames.points["score"].notna()])["score"].tolist()
    assert scores == sorted(scores, reverse=True)
    line = next(mark for mark in marks_of(chart_of("search", frames), Line) if isinstance(mark, Line))
    best = [value for value in line.y if value is not None]
    assert best == sorted(best, reverse=True)


def test_the_joint_figure_draws_the_fall_of_nll(frames: Frames) -> None:
    chart = chart_of("joint", frames)
    assert "First panel: fall of nll below that of the untouched model" in chart.caption
    assert chart.panels[0].y.title == "fall of nll, nats per token"


def test_the_table_of_winners_is_in_nats(frames: Frames) -> None:
    made = make_figure("tables", frames)
    assert isinstance(made, Table)
    assert "The fall of nll is paired over windows of text, in nats per token" in made.caption
    gain = made.rows[0][made.columns.index("gain")]
    assert isinstance(gain, str)
    assert float(gain) == pytest.approx(0.045, abs=0.02)
    bars = chart_of("figure4", frames)
    assert bars.panels[1].y.title == "fall of nll on test, nats per token"


def test_points_say_what_they_are_judged_by() -> None:
    assert point_frame(text_standings()).attrs["metric"] == "nll"


def test_open_answers_have_no_calibration_to_draw() -> None:
    rows = made_up_rows(made_up_points()).latest()
    greedy = [changed(row, macro_f1=None, calibration_error=None) for row in rows.values()]
    made = {name for name, _ in make_figures(Frames.of_trials(trials_frame(greedy)))}
    assert {"figure1", "agreement", "atlas"} <= made
    assert "calibration" not in made
