from dataclasses import replace
from typing import Any

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.report.environment import set_right
from clipsweep.analysis.report.tables import winners_table
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from tests.analysis.winners.points import BASE, GOOD, rows_of

ROWS = rows_of(base=[5], mlp_1_0__5=[8])


def winner_of(*clips: Clip) -> dict[str, Any]:
    """The line of the table in which these clips won."""
    table = winners_table(Standings([BASE, replace(GOOD, clips=clips)], ROWS), "accuracy")
    (row,) = table.rows
    return dict(zip(table.columns, row, strict=True))


def test_a_winner_of_another_kind_is_told_with_it_and_a_rate_only_where_it_has_a_meaning() -> None:
    usual = winner_of(*GOOD.clips)
    assert "kind" not in usual
    assert (usual["layer"], usual["clip rate"], usual["accuracy on validation"]) == ("1", "0.5", "0.8000")
    random = winner_of(Clip(layer=1, module="mlp", clip_rate=0.5, kind="random"))
    assert (random["kind"], random["clip rate"]) == ("random, seed 0", "0.5")
    zero = winner_of(Clip(layer=1, module="mlp", clip_rate=0.5, kind="zero"))
    assert (zero["kind"], zero["clip rate"]) == ("zero", None)


def test_an_untouched_winner_is_called_so_and_has_no_clip_rate() -> None:
    table = winners_table(Standings([BASE, GOOD], rows_of(base=[5], mlp_1_0__5=[4])), "accuracy")
    (row,) = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert (row["module"], row["layer"], row["clip rate"]) == ("mlp", "untouched", None)


def test_a_column_is_set_right_where_it_holds_numbers_and_gaps_alone() -> None:
    rows = [("3fa9", None, "+1.0", None), ("c0de", "random", "infinite", 3), ("b", None, "2", "0-3")]
    table = Table(name="t", title="", caption="", columns=("trial", "kind", "snr", "layer"), rows=rows)
    assert set_right(table) == [False, False, True, True]
