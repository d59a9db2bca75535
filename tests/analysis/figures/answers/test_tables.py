from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clipsweep.analysis.drawing.chart import Bars
from clipsweep.analysis.figures.answers.tables import bar_chart, results_table
from clipsweep.analysis.published.read import load_published
from clipsweep.analysis.row.row import StoredRow
from tests.analysis.figures.frames import marks_of, points_frame
from tests.analysis.winners.points import make_point, rows_of

if TYPE_CHECKING:
    import pandas

POINTS = [
    make_point(None, tested=True),
    make_point(1, tested=True),
    make_point(2, module="attn", tested=True),
]


def rows(**right: list[int]) -> dict[str, StoredRow]:
    tested = {f"test_{name}": counts for name, counts in right.items()}
    return rows_of(**right, **tested)


def points() -> "pandas.DataFrame":
    """``mlp`` of layer 1 wins among ``mlp``, and the untouched model among ``attn``."""
    return points_frame(POINTS, rows(base=[5], mlp_1_0__5=[8], attn_2_0__5=[4]))


def test_a_line_tells_the_winner_on_test_with_its_interval() -> None:
    table = results_table(points())
    assert table is not None
    line = dict(zip(table.columns, next(row for row in table.rows if row[3] == "mlp"), strict=True))
    assert (line["layer"], line["clip rate"], line["before"], line["after"]) == ("1", "0.5", "0.5000", "0.8000")
    assert (line["gain"], line["p"]) == ("+30.0", "0.25")  # three of ten gained, none lost: 2 / 2**3
    assert str(line["95 % interval"]).endswith(" to +60.0")


def test_the_untouched_model_stands_for_a_module_that_nothing_else_won() -> None:
    table = results_table(points())
    assert table is not None
    assert [(row[3], row[4], row[5], row[8]) for row in table.rows] == [
        ("mlp", "1", "0.5", "+30.0"),
        ("attn", "untouched", None, "+0.0"),
    ]


def test_a_kind_that_is_not_the_usual_one_has_a_column_and_a_rate_only_where_it_has_a_meaning() -> None:
    kinds = [replace(point, clips=tuple(replace(clip, kind=kind) for clip in point.clips))
             for point, kind in zip(POINTS, ("svd", "zero", "random"), strict=True)]  # fmt: skip
    table = results_table(points_frame(kinds, rows(base=[5], mlp_1_0__5=[8], attn_2_0__5=[9])), load_published())
    assert table is not None
    place = table.columns.index("kind")
    lines = {(str(row[1]), row[3]): row[place : place + 3] for row in table.rows}
    assert {lines[key] for key in lines if "(paper)" not in key[0]} == {
        ("zero", "1", None), ("random, seed 0", "2", "0.5")
    }  # fmt: skip
    assert lines["GPT-J-6B (paper)", "mlp"] == ("svd", "26", "0.95")
    assert "kind" not in getattr(results_table(points()), "columns", ())


def test_the_test_is_named_as_what_it_is() -> None:
    one = results_table(points())
    assert one is not None
    assert "McNemar" in one.caption
    seeded = [make_point(None, tested=True, seeds=2), make_point(1, tested=True, seeds=2)]
    several = results_table(points_frame(seeded, rows(base=[5, 5], mlp_1_0__5=[8, 7])))
    assert several is not None
    assert "McNemar" not in several.caption
    assert "sign test over examples" in several.caption


def test_of_another_metric_the_scores_are_in_its_unit_and_the_paper_has_no_line() -> None:
    frame = points()
    frame.attrs["metric"] = "gold_logprob"
    table, chart = results_table(frame, load_published()), bar_chart(frame)
    assert table is not None
    assert chart is not None
    assert len(table.rows) == 2
    scores, gains = chart.panels
    assert (scores.y.title, scores.y.percent) == ("gold logprob on test, nats", False)
    assert gains.y.title == "gain in accuracy on test, points"


def test_the_papers_lines_stand_beside_them_without_an_interval() -> None:
    table = results_table(points(), load_published())
    assert table is not None
    (line,) = [row for row in table.rows if row[:2] == ("sst2", "GPT-J-6B (paper)") and row[3] == "mlp"]
    assert line[3:] == ("mlp", "26", "0.95", "0.7527", "0.8437", "+9.1", None, None)
    assert sum("(paper)" in str(row[1]) for row in table.rows) == 4  # of this task


def test_of_another_task_the_paper_has_no_line() -> None:
    table = results_table(points().assign(task="mine"), load_published())
    assert table is not None
    assert len(table.rows) == 2
    assert "paper" not in table.caption


def test_bars_show_both_scores_and_the_gain_with_its_interval() -> None:
    chart = bar_chart(points())
    assert chart is not None
    before, after = marks_of(chart, Bars)
    assert list(before.x) == ["sst2, mlp", "sst2, attn (untouched)"]
    assert (list(before.y), list(after.y)) == ([0.5, 0.5], [0.8, 0.5])
    (gain,) = marks_of(chart, Bars, panel=1)
    assert list(gain.y) == pytest.approx([30, 0])
    assert gain.low is not None
    assert gain.low[1] == 0.0


def test_nothing_is_told_before_the_winner_has_run_on_test() -> None:
    untested = points_frame([make_point(None), make_point(1)], rows_of(base=[5], mlp_1_0__5=[8]))
    assert results_table(untested) is None
    assert bar_chart(untested) is None


def test_winners_of_two_studies_are_told_apart_by_their_study() -> None:
    first = points()
    other = first.assign(study="other", task="rte")  # which alone would tell them apart too
    both = type(first)([*first.to_dict("records"), *other.to_dict("records")])
    table = results_table(both)
    assert table is not None
    assert [(table.columns[0], row[0], row[1]) for row in table.rows[::2]] == [
        ("study", "other", "rte"),
        ("study", "s", "sst2"),
    ]
    chart = bar_chart(both)
    assert chart is not None
    assert chart.panels[0].x.categories == (
        "s: sst2, mlp", "s: sst2, attn (untouched)", "other: rte, mlp", "other: rte, attn (untouched)"
    )  # fmt: skip
