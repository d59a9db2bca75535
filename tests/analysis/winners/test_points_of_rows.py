from typing import Any

import pytest

from clipsweep.analysis.row.row import StoredRow, clip_record
from clipsweep.analysis.winners.points_of_rows import MISSING, Rules, points_of_rows
from clipsweep.trials.spec.clip import Clip
from tests.analysis.store.rows import changed, stored_row


def row(key: str, layer: int | None = None, rate: float = 0.5, module: str = "mlp", **values: Any) -> StoredRow:
    """The row of a trial that clips one layer, or none."""
    clips = [] if layer is None else [clip_record(Clip(layer=layer, module=module, clip_rate=rate))]
    fixed = {"clips": clips, "split": "validation", "shots": 4, "demo_seed": 0}
    return changed(stored_row(key), **(fixed | values))


def rows_by_id(*rows: StoredRow) -> dict[str, StoredRow]:
    return {each.trial_id: each for each in rows}


def test_a_point_has_a_trial_for_each_seed_and_its_baselines_beside_them() -> None:
    rows = rows_by_id(row("b0"), row("b7", demo_seed=7), row("c7", 1, demo_seed=7), row("c0", 1))
    base, clipped = points_of_rows(rows)
    assert (base.clips, base.trial_ids, base.baseline_ids) == ((), ("b0", "b7"), ("b0", "b7"))
    assert (clipped.trial_ids, clipped.baseline_ids) == (("c0", "c7"), ("b0", "b7"))


def test_a_seed_that_has_not_run_is_missing() -> None:
    rows = rows_by_id(row("b0"), row("b7", demo_seed=7), row("c7", 1, demo_seed=7))
    assert points_of_rows(rows)[1].trial_ids == (MISSING, "c7")
    assert points_of_rows(rows_by_id(row("b0")), Rules(demo_seeds=(3, 0)))[0].trial_ids == (MISSING, "b0")


def test_without_demonstrations_all_seeds_are_one_trial() -> None:
    rows = rows_by_id(row("b", shots=0), row("c", 1, shots=0, demo_seed=9))
    assert [point.trial_ids for point in points_of_rows(rows, Rules(demo_seeds=(1, 2)))] == [("b",), ("c",)]


def test_the_test_trials_of_a_point_are_those_of_the_same_clips() -> None:
    rows = rows_by_id(row("b"), row("c", 1), row("d", 2), row("tb", split="test"), row("tc", 1, split="test"))
    base, tested, other = (point.test_ids for point in points_of_rows(rows))
    assert (base, tested, other) == (("tb",), ("tc",), (MISSING,))
    assert {point.baseline_test_ids for point in points_of_rows(rows)} == {("tb",)}


def test_a_test_trial_stored_under_another_rate_that_leaves_the_same_ranks_is_found() -> None:
    rows = rows_by_id(row("b"), row("c", 1, 0.995), row("tb", split="test"), row("tc", 1, 0.99, split="test"))
    assert points_of_rows(rows)[1].test_ids == ("tc",)


def test_a_test_trial_that_may_be_of_several_points_is_given_to_none() -> None:
    rows = rows_by_id(row("b"), row("c", 1, 0.1), row("d", 1, 0.3), row("tb", split="test"))
    rows |= rows_by_id(row("td", 1, 0.3001, split="test"))  # so low rates keep all parameters
    assert [point.test_ids for point in points_of_rows(rows)] == [("tb",), (MISSING,), (MISSING,)]


def test_a_clip_rate_of_zero_is_the_untouched_model() -> None:
    (point,) = points_of_rows(rows_by_id(row("b", 1, 0.0)))
    assert point.clips == ()


def test_the_order_is_that_of_the_study() -> None:
    rows = rows_by_id(row("a", 1, 0.9, "attn"), row("b", 1, 0.9), row("c", 1, 0.5), row("d", 0, 0.9), row("e"))
    rules = Rules(modules=("mlp", "attn"), clip_rates=(0.9, 0.5))
    assert [point.trial_ids[0] for point in points_of_rows(rows, rules)] == ["e", "d", "b", "c", "a"]
    assert [point.trial_ids[0] for point in points_of_rows(rows)] == ["e", "d", "a", "c", "b"]


@pytest.mark.parametrize(
    ("rules", "can_win"),
    [({}, [True, True]), ({"baseline_competes": False}, [False, True]), ({"outside": ("c",)}, [True, False])],
)
def test_what_cannot_win_is_told(rules: dict[str, Any], can_win: list[bool]) -> None:
    points = points_of_rows(rows_by_id(row("b"), row("c", 1)), Rules(**rules))
    assert [point.can_win for point in points] == can_win


def test_rules_come_back_from_json() -> None:
    rules = Rules(metric="macro_f1", shots=(4, 0), kinds=(("svd", None), ("random", '{"seed": 1}')), outside=("a",))
    assert Rules.of_json(rules.to_json()) == rules
