"""What trials changed against the untouched rows of the same prompts, with numbers solved by hand."""

from __future__ import annotations

import math

import pytest

from clipsweep.analysis.theory.changes import Changes, changes_of
from clipsweep.analysis.theory.quantities import has_changed, log_change
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from tests.analysis.store.rows import changed
from tests.analysis.theory.studies import clip_at, norms_of, theory_row

BASE = norms_of([1.0, 2.0, 3.0])
RIGHT, WRONG = True, False


def changes_with(norms: ImplicitNorms | None, *clips: Clip, outcomes: tuple[bool, ...] = (RIGHT, RIGHT)) -> Changes:
    base = theory_row("base", norms=BASE, outcomes=(RIGHT, WRONG))
    return changes_of({"base": base, "one": theory_row("one", clips or [clip_at(1)], norms, outcomes=outcomes)})


def test_a_trial_is_told_by_its_difference_to_the_untouched_row() -> None:
    one = changes_with(norms_of([1.0, 1.5, 3.25], implicit_gradient=[1.0, 2.0, 2.0])).trials[0]
    assert one.gain == 0.5
    assert one.margin == pytest.approx((1.5 + 1.5) / 2 - (1.5 - 0.25) / 2)
    assert one.logs["delta_w"] == (0.0, -0.5, 0.25)
    wanted = {"sum_delta_w": -0.25, "last_delta_w": 0.25, "sum_implicit_gradient": -1.0, "blocks_changed": 2.0}
    assert {name: one.quantities[name] for name in wanted} == wanted
    assert (one.quantities["clip_rate"], one.quantities["layer"]) == (0.5, 1.0)


def test_rows_are_joined_by_the_demonstrations_that_they_share() -> None:
    rows = {
        "b0": theory_row("b0", norms=BASE, outcomes=(WRONG, WRONG)),
        "b1": theory_row("b1", norms=norms_of([0.0] * 3), outcomes=(RIGHT, RIGHT), seed=1),
        "one": theory_row("one", [clip_at(0)], BASE, outcomes=(RIGHT, WRONG), seed=1),
        "lone": theory_row("lone", [clip_at(0)], BASE, outcomes=(RIGHT, WRONG), seed=2),
    }
    found = changes_of(rows)
    assert [(each.trial_id, each.gain, each.logs["delta_w"]) for each in found.trials] == [
        ("one", -0.5, (1.0, 2.0, 3.0))
    ]
    assert (found.measured, found.alone) == (2, 1)


def test_a_partial_trial_is_compared_over_the_examples_that_both_have_seen() -> None:
    rows = {
        "base": theory_row("base", norms=BASE, outcomes=(RIGHT, WRONG, RIGHT, RIGHT)),
        "one": theory_row("one", [clip_at(0)], BASE, outcomes=(WRONG, WRONG)),
        "two": theory_row("two", [clip_at(1)], BASE, outcomes=(WRONG, RIGHT, WRONG, RIGHT)),
    }
    found = changes_of(rows)
    assert [(each.n_examples, each.gain) for each in found.trials] == [(2, -0.5), (4, -0.25)]
    assert found.turned.tolist() == [[-1, 0, 0, 0], [-1, 1, -1, 0]]


def test_rows_without_norms_are_counted_and_left_out() -> None:
    found = changes_with(None)
    assert (found.trials, found.unmeasured) == ((), 1)


def test_trials_of_test_do_not_count() -> None:
    one = theory_row("one", [clip_at(0)], BASE, outcomes=(RIGHT, WRONG))
    base = theory_row("base", norms=BASE, outcomes=(RIGHT, WRONG))
    assert changes_of({"base": base, "one": changed(one, split="test")}).measured == 0


def test_a_trial_that_leaves_the_model_whole_is_the_untouched_model_where_it_is_named_so() -> None:
    idle = theory_row("idle", [clip_at(0, clip_rate=0.01)], BASE, outcomes=(RIGHT, WRONG))
    one = theory_row("one", [clip_at(0)], BASE, outcomes=(RIGHT, RIGHT))
    assert [each.trial_id for each in changes_of({"idle": idle, "one": one}, untouched={"idle"}).trials] == ["one"]


def test_blocks_that_were_not_measured_do_not_count() -> None:
    one = changes_with(norms_of([0.5, None, None])).trials[0]
    assert (one.quantities["sum_delta_w"], one.quantities["last_delta_w"]) == (-0.5, -0.5)


def test_a_norm_that_falls_to_nothing_falls_without_end_and_one_that_stays_nothing_does_not_change() -> None:
    assert log_change(-math.inf, 1.0) == -math.inf
    assert log_change(-math.inf, -math.inf) == 0.0
    assert log_change(None, 1.0) is None


@pytest.mark.parametrize(
    ("change", "told"), [(0.0, False), (9e-4, False), (-1.1e-3, True), (-math.inf, True), (50.0, True), (None, False)]
)
def test_a_block_has_changed_from_a_tenth_of_a_percent_on(change: float | None, told: bool) -> None:
    assert has_changed(change) is told


def test_several_clips_are_told_by_their_mean_rate_and_their_shallowest_layer() -> None:
    one = changes_with(BASE, clip_at(2, "attn", 0.9), clip_at(1, "mlp", 0.5)).trials[0]
    assert (one.quantities["clip_rate"], one.quantities["layer"], one.module) == (0.7, 1.0, "attn+mlp")
