from clipsweep.analysis.compare.charts import paper_chart, studies_chart
from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.analysis.compare.studies import SideBySide
from clipsweep.analysis.drawing.chart import Bars, Dots, Panel
from clipsweep.analysis.published.read import published_table
from tests.analysis.compare.sides import evenly, make_side
from tests.analysis.winners.points import BASE, make_point

POINTS = [BASE, make_point(1), make_point(2)]


def dots(panel: Panel) -> dict[str, tuple[list[float], list[float]]]:
    return {mark.name: (list(mark.x), list(mark.y)) for mark in panel.marks if isinstance(mark, Dots)}  # type: ignore[arg-type]


def test_scores_of_two_studies_stand_against_each_other() -> None:
    one = make_side("a", POINTS, {"base": [5], "mlp_1_0__5": [9], "mlp_2_0__5": [1]})
    other = make_side("b", POINTS, {"base": [5], "mlp_1_0__5": [6], "mlp_2_0__5": [8]})
    winners, scores = studies_chart(SideBySide(sides=[one, other])).panels
    [bars] = [mark for mark in winners.marks if isinstance(mark, Bars)]
    assert (list(bars.x), list(bars.y)) == (["a", "b"], [0.4, 0.3])
    assert dots(scores) == {"may be chance": ([0.5], [0.5]), "winner of one": ([0.1, 0.9], [0.8, 0.6])}


def test_studies_without_a_clip_in_common_have_no_panel_of_points() -> None:
    other = evenly("b", [BASE, make_point(1, module="attn")])
    assert len(studies_chart(SideBySide(sides=[evenly("a", POINTS), other])).panels) == 1


def test_gains_stand_against_those_of_the_paper() -> None:
    points = [BASE, make_point(26, 0.99)]
    side = make_side("mine", points, {"base": [1], "mlp_26_0__99": [9]})
    chart = paper_chart(BesidePaper(sides=[side], published=published_table().to_pylist()))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["mine and GPT-J-6B", "mine and LLAMA2-7B"]
    [(theirs, ours)] = dots(chart.panels[0]).values()
    assert (round(theirs[0], 4), round(ours[0], 4)) == (0.0276, 0.8)


def test_without_a_curve_of_the_paper_there_is_nothing_to_draw() -> None:
    side = evenly("mine", [BASE, make_point(13)])
    assert paper_chart(BesidePaper(sides=[side], published=published_table().to_pylist())) is None
