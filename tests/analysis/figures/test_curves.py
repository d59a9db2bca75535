from dataclasses import replace

from clipsweep.analysis.figures.curves import curve_panels
from clipsweep.analysis.figures.style import legend_of
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.trials.spec.clip import Clip
from tests.analysis.winners.points import make_point, rows_of, stopped

POINTS = [make_point(None), *(make_point(layer, rate) for layer in (0, 5) for rate in (0.5, 0.9))]


def answered() -> dict[str, StoredRow]:
    """Rows of all points."""
    return rows_of(base=[5], mlp_0_0__5=[3], mlp_0_0__9=[2], mlp_5_0__5=[6], mlp_5_0__9=[8])


def test_a_panel_has_a_line_for_each_layer_the_baseline_and_the_best_point() -> None:
    ((title, figure),) = curve_panels(POINTS, answered())
    assert title == "mlp clipped, 4 shots"
    assert [trace.name for trace in figure.data] == ["layer 0", "layer 5", "baseline", "best: layer 5 at 0.9"]
    assert list(figure.data[1].y) == [0.6, 0.8]
    assert figure.data[2].line.dash == "dash"
    assert (figure.data[3].marker.symbol, list(figure.data[3].y)) == ("star", [0.8])


def test_a_point_that_has_not_run_leaves_a_gap() -> None:
    rows = answered()
    del rows["mlp-5-0.9-0"]
    for points in (POINTS, POINTS[:-1]):  # as points without rows are left out
        ((_, figure),) = curve_panels(points, rows)
        assert list(figure.data[1].x) == ["0.5", "0.9"]
        assert list(figure.data[1].y) == [0.6, None]
        assert figure.data[1].marker.symbol is None  # nothing is estimated


def test_a_stopped_point_is_drawn_as_an_open_circle_where_it_is_estimated_to_be() -> None:
    rows = answered() | stopped("mlp-5-0.9-0", (True, False, True))
    ((_, figure),) = curve_panels(POINTS, rows)
    assert list(figure.data[1].marker.symbol) == ["circle", "circle-open"]
    assert list(figure.data[1].y) == [0.6, estimated_score(POINTS[4], rows)]
    assert legend_of(figure)[2][::2] == ("estimated from fewer rows", "circle-open")


def test_points_without_a_baseline_point_among_them_still_have_the_baseline_line() -> None:
    ((_, figure),) = curve_panels([point for point in POINTS if point.clips], answered())
    assert (figure.data[2].name, list(figure.data[2].y)) == ("baseline", [0.5, 0.5])


def test_a_module_that_is_clipped_at_another_number_of_shots_only_has_no_panel() -> None:
    elsewhere = replace(make_point(5, 0.9), shots=2, clips=(Clip(layer=5, module="attn", clip_rate=0.9),))
    titles = [title for title, _ in curve_panels([*POINTS, elsewhere, replace(make_point(None), shots=2)], answered())]
    assert titles == ["attn clipped, 2 shots", "mlp clipped, 4 shots"]


def test_a_range_of_layers_has_a_line_of_its_own() -> None:
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in (5, 6, 7))
    ranged = replace(make_point(5, 0.9), clips=clips, trial_ids=("range-0",))
    apart = replace(ranged, clips=(clips[0], clips[2]))
    ((_, figure),) = curve_panels([*POINTS, ranged, apart], answered() | rows_of(range=[9]))
    assert [trace.name for trace in figure.data] == [
        "layer 0", "layer 5", "layers 5-7", "baseline", "best: layers 5-7 at 0.9",
    ]  # fmt: skip
    assert list(figure.data[2].y) == [None, 0.9]
