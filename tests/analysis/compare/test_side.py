from dataclasses import replace

from clipsweep.analysis.compare.facts import axes_of, differing
from clipsweep.analysis.compare.side import key_of
from clipsweep.trials.spec.clip import Clip
from tests.analysis.compare.sides import make_side
from tests.analysis.winners.points import BASE, GOOD, make_point

LOW = Clip(layer=1, module="mlp", clip_rate=0.5)


def test_a_point_is_known_by_what_it_changes_in_whatever_order_that_is_written() -> None:
    other, idle = replace(LOW, layer=3), replace(LOW, layer=2, clip_rate=0.0)
    assert key_of(4, [LOW, other]) == key_of(4, [other, idle, LOW])
    assert key_of(4, [idle]) == (4, ())
    assert key_of(4, [LOW]) != key_of(5, [LOW])


def test_the_untouched_model_is_there_also_where_it_cannot_win() -> None:
    side = make_side("a", [GOOD], {"base": [5], "mlp_1_0__5": [6]})
    assert list(side.points) == [(4, (LOW,)), (4, ())]
    assert side.points[4, ()].trial_ids == GOOD.baseline_ids


def test_points_without_rows_are_left_out() -> None:
    assert list(make_side("a", [BASE, GOOD], {"base": [5]}).points) == [(4, ())]


def test_cost_is_that_of_all_trials() -> None:
    cost = make_side("a", [BASE, GOOD], {"base": [5, 6], "mlp_1_0__5": [6]}).cost
    assert (cost.trials, cost.rows, cost.operations, cost.seconds) == (3, 30, 21, 1.5)


def test_facts_are_told_with_all_values_and_their_differences_in_order() -> None:
    points, right = [BASE, make_point(1)], {"base": [5], "mlp_1_0__5": [6]}
    one = make_side("a", points, right)
    other = make_side("b", points, right, fingerprint="u", driver="bayes", n_layers=32)
    assert one.facts["task"] == ("rte",)
    assert one.facts["validation_rows"] == (10,)
    assert one.facts["modules"] == ("mlp",)
    assert differing([one.facts, other.facts]) == ["task_fingerprint", "model_layers", "driver"]


def test_a_clip_rate_is_a_fact_where_it_has_a_meaning() -> None:
    zero = replace(LOW, layer=2, kind="zero", clip_rate=0.9)
    assert axes_of([LOW, zero])["clip_rates"] == (0.5,)
