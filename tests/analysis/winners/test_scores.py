from dataclasses import replace

import pytest

from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.analysis.winners.smoothing import gain_so_far
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import GOOD, make_point, rows_of, stopped


def test_a_stopped_point_is_estimated_by_its_gain_on_the_rows_that_it_saw() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, False, True))
    gain = gain_so_far(rows["mlp-1-0.5-0"], rows["base-0"], smoothed=True)
    assert estimated_score(GOOD, rows) == pytest.approx(0.6 + gain)


def test_where_one_of_the_two_has_no_margins_plain_accuracies_are_compared() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, False, True))
    rows["base-0"] = changed(rows["base-0"], margins=None)
    assert estimated_score(GOOD, rows) == pytest.approx(0.6 - 0.25)  # the untouched model has the first four right


def test_nothing_is_estimated_without_all_seeds_and_a_complete_baseline_or_by_another_metric() -> None:
    rows = stopped("mlp-1-0.5-0", (True, False)) | stopped("base-0", (True, False))
    assert estimated_score(GOOD, rows) is None
    rows |= rows_of(base=[6, 6])
    assert estimated_score(make_point(1, seeds=2), rows) is None
    assert estimated_score(replace(GOOD, metric="macro_f1"), rows) is None
