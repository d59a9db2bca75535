from dataclasses import replace

from clipsweep.analysis.drawing.chart import Bars, Heat
from clipsweep.analysis.figures.answers.agreement import agreement_chart
from clipsweep.analysis.row.row import StoredRow
from clipsweep.trials.spec.clip import Clip
from tests.analysis.figures.frames import marks_of, points_frame, trials_frame
from tests.analysis.store.rows import stored_row
from tests.analysis.winners.points import BASE, EQUAL, GOOD, make_point, rows_of

ROWS = {
    "base-0": stored_row("base-0", outcomes=(True, True, False, False)),
    "mlp-1-0.5-0": stored_row("mlp-1-0.5-0", outcomes=(True, True, True, False)),
    "mlp-2-0.5-0": stored_row("mlp-2-0.5-0", outcomes=(False, False, True, True)),
}


def test_agreement_is_the_share_of_examples_on_which_two_are_both_right_or_both_wrong() -> None:
    chart = agreement_chart(trials_frame(ROWS.values()), points_frame([BASE, GOOD, EQUAL], ROWS))
    assert chart is not None
    (heat,) = marks_of(chart, Heat)
    assert list(heat.x) == ["untouched", "mlp 1 at 0.5", "mlp 2 at 0.5"]
    assert list(heat.y) == list(heat.x)[::-1]  # upward, so that the untouched model is in the upper left corner
    assert [list(row) for row in heat.z] == [[0, 0.25, 1], [0.75, 1, 0.25], [1, 0.75, 0]]


def test_turned_answers_are_counted_both_ways() -> None:
    chart = agreement_chart(trials_frame(ROWS.values()), points_frame([BASE, GOOD, EQUAL], ROWS))
    assert chart is not None
    gained, lost = marks_of(chart, Bars, panel=1)
    assert (list(gained.y), list(lost.y)) == ([1, 2], [0, 2])


def test_all_demonstration_seeds_count() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    rows = rows_of(base=[5, 5], mlp_1_0__5=[6, 8])
    chart = agreement_chart(trials_frame(rows.values()), points_frame(points, rows))
    assert chart is not None
    assert marks_of(chart, Heat)[0].z[0][0] == 1 - 4 / 20
    assert list(marks_of(chart, Bars, panel=1)[0].y) == [4]


def test_what_is_not_all_of_them_never_reads_100() -> None:
    rows = {
        key: stored_row(key, outcomes=outcomes)
        for key, outcomes in {"base-0": (True,) * 999 + (False,), "mlp-1-0.5-0": (True,) * 1000}.items()
    }
    chart = agreement_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows))
    assert chart is not None
    assert marks_of(chart, Heat)[0].labels == [["99.9", "100"], ["100", "99.9"]]


def test_long_names_are_numbers_at_the_axes_and_told_in_the_caption() -> None:
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.5) for layer in (1, 3))
    joint = replace(GOOD, clips=clips)
    chart = agreement_chart(trials_frame(ROWS.values()), points_frame([BASE, joint, EQUAL], ROWS))
    assert chart is not None
    (heat,) = marks_of(chart, Heat)
    assert list(heat.x) == ["untouched", "#1", "#2"]
    assert "#1 mlp 1 at 0.5, mlp 3 at 0.5; #2 mlp 2 at 0.5." in chart.caption
    assert heat.texts is not None
    assert heat.texts[0][1] == "mlp 2 at 0.5 and mlp 1 at 0.5, mlp 3 at 0.5: 25.0 %"


def test_points_that_read_alike_have_cells_of_their_own() -> None:
    other = replace(EQUAL, clips=(replace(GOOD.clips[0], clip_rate=0.5000000001),))
    chart = agreement_chart(trials_frame(ROWS.values()), points_frame([BASE, GOOD, other], ROWS))
    assert chart is not None
    assert list(marks_of(chart, Heat)[0].x) == ["untouched", "mlp 1 at 0.5", "mlp 1 at 0.5 (2)"]
    assert list(marks_of(chart, Bars, panel=1)[0].x) == ["mlp 1 at 0.5", "mlp 1 at 0.5 (2)"]


def test_nothing_is_drawn_of_the_untouched_model_alone() -> None:
    rows: dict[str, StoredRow] = {"base-0": ROWS["base-0"]}
    assert agreement_chart(trials_frame(rows.values()), points_frame([BASE], rows)) is None
