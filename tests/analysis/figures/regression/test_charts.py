from clipsweep.analysis.drawing.chart import Heat, Level, Line, Panel
from clipsweep.analysis.figures.regression.charts import atlas_chart, clip_name, clipped_chart, regression_chart
from tests.analysis.figures.regression.numbers import make_numbers


def lines_of(panel: Panel) -> dict[str, list[float]]:
    return {mark.name: [*mark.y] for mark in panel.marks if isinstance(mark, Line)}  # type: ignore[list-item]


def test_figure_5a_has_the_last_checkpoint_beside_least_squares_and_zero() -> None:
    panel = regression_chart(make_numbers()).panels[0]
    assert lines_of(panel) == {"least squares": [1.0, 0.5, 0.0], "transformer": [1.0, 0.6, 0.2]}
    assert [mark.y for mark in panel.marks if isinstance(mark, Level)] == [1.0]


def test_figure_5b_has_a_line_for_each_checkpoint() -> None:
    panel = regression_chart(make_numbers()).panels[1]
    assert lines_of(panel) == {"1,000 steps": [1.0, 0.9, 0.8], "5,000 steps": [1.0, 0.6, 0.2]}


def test_captions_state_the_sizes_and_the_prompts_of_the_run() -> None:
    caption = regression_chart(make_numbers()).caption
    assert "3 blocks and width 8" in caption
    assert "d = 2: a mean over 1,024 prompts" in caption


def test_the_best_clips_are_drawn_by_what_they_add_with_its_standard_error() -> None:
    chart = clipped_chart(make_numbers())
    assert chart is not None
    [panel] = chart.panels
    assert panel.title == "after 1,000 steps"
    assert lines_of(panel) == {
        "q of block 0 at 0.5 (best at few)": [0.0, -0.05, 0.3],
        "v of block 0 at 0.5 (best at many)": [0.0, 0.0, -0.1],
    }
    spreads = [[*mark.spread] for mark in panel.marks if isinstance(mark, Line) and mark.spread is not None]
    assert spreads == [[0.0, 0.01, 0.02]] * 2
    assert [mark.y for mark in panel.marks if isinstance(mark, Level)] == [0.0]


def test_a_clip_that_is_best_at_both_has_one_line() -> None:
    numbers = make_numbers()
    numbers["checkpoints"][0]["chosen"] = {"few": 2, "many": 2}
    chart = clipped_chart(numbers)
    assert chart is not None
    assert [*lines_of(chart.panels[0])] == ["v of block 0 at 0.5 (best at few and many)"]


def test_the_atlas_has_what_a_clip_lowers_above_zero_and_mutes_what_may_be_chance() -> None:
    chart = atlas_chart(make_numbers())
    assert chart is not None
    few, many = (mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Heat))
    assert (few.x, few.y) == (("0.5", "0.9"), ("0 v", "0 q"))  # from the bottom
    assert few.z == [[0.0, -0.1], [0.05, -0.01]]  # -0.4 is shown as -0.1, the largest that any clip lowers
    assert few.muted == [[True, False], [False, True]]
    assert few.texts is not None
    assert few.texts[0][1] == "-0.4000 ± 0.0100"
    assert many.z == [[0.1, -0.1], [-0.1, -0.1]]


def test_without_clips_there_is_neither_a_chart_of_them_nor_an_atlas() -> None:
    numbers = make_numbers()
    del numbers["checkpoints"][0]
    assert clipped_chart(numbers) is None
    assert atlas_chart(numbers) is None


def test_a_clip_is_named_by_module_block_and_rate() -> None:
    assert clip_name({"module": "mlp", "layer": 2, "clip_rate": 0.9}) == "mlp of block 2 at 0.9"
