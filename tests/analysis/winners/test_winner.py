from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.winners.gain import measure_gain
from clipsweep.analysis.winners.pick import pick
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR, Point
from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.analysis.winners.smoothing import gain_so_far
from clipsweep.analysis.winners.winner import find_winner, find_winners
from clipsweep.trials.spec.clip import Clip
from tests.analysis.store.test_table import stored_row


def make_point(
    layer: int | None, rate: float = 0.5, *, seeds: int = 1, module: str = "mlp", tested: bool = False
) -> Point:
    def ids(kind: str) -> tuple[str, ...]:
        return tuple(f"{kind}-{seed}" for seed in range(seeds))

    name = "base" if layer is None else f"{module}-{layer}-{rate}"
    return Point(
        clips=() if layer is None else (Clip(layer=layer, module=module, clip_rate=rate),),
        shots=4,
        trial_ids=ids(name),
        baseline_ids=ids("base"),
        test_ids=ids(f"test-{name}") if tested else (),
        baseline_test_ids=ids("test-base") if tested else (),
    )


def rows_of(**right: list[int]) -> Mapping[str, StoredRow]:
    """Rows by trial identity: how many of ten outcomes are right, one entry for each seed."""
    rows = {}
    for name, counts in right.items():
        for seed, count in enumerate(counts):
            key = f"{name.replace('__', '.').replace('_', '-')}-{seed}"
            rows[key] = stored_row(key, outcomes=tuple(n < count for n in range(10)))
    return rows


BASE, GOOD, EQUAL = make_point(None), make_point(1), make_point(2)


def test_the_best_mean_over_demonstration_seeds_wins() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2), make_point(2, seeds=2)]
    rows = rows_of(base=[5, 5], mlp_1_0__5=[9, 3], mlp_2_0__5=[7, 7])
    assert pick(points, rows) == points[2]


def test_of_equals_the_first_wins() -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[8])
    assert pick([BASE, GOOD, EQUAL], rows) == GOOD


def stopped(key: str, outcomes: tuple[bool, ...]) -> Mapping[str, StoredRow]:
    """The row of a trial that a race stopped after these examples."""
    return {key: stored_row(key, outcomes=outcomes) | {"state": "pruned"}}


def test_a_stopped_point_is_estimated_by_its_gain_on_the_rows_that_it_saw() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, False, True))
    gain = gain_so_far(rows["mlp-1-0.5-0"], rows["base-0"], smoothed=True)
    assert estimated_score(GOOD, rows) == pytest.approx(0.6 + gain)


def test_where_one_of_the_two_has_no_margins_plain_accuracies_are_compared() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, False, True))
    rows["base-0"].margins = None
    assert estimated_score(GOOD, rows) == pytest.approx(0.6 - 0.25)  # the untouched model has the first four right


def test_a_stopped_point_does_not_compete() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, True, True))
    assert pick([BASE, GOOD], rows) == BASE


def test_nothing_is_estimated_without_all_seeds_and_a_complete_baseline_or_by_another_metric() -> None:
    rows = stopped("mlp-1-0.5-0", (True, False)) | stopped("base-0", (True, False))
    assert estimated_score(GOOD, rows) is None
    rows |= rows_of(base=[6, 6])
    assert estimated_score(make_point(1, seeds=2), rows) is None
    assert estimated_score(replace(GOOD, metric="macro_f1"), rows) is None


def test_a_point_with_a_missing_seed_does_not_compete() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    assert pick(points, rows_of(base=[5, 5], mlp_1_0__5=[10])) == points[0]


def test_the_baseline_may_win() -> None:
    winner = find_winner([BASE, GOOD], rows_of(base=[9], mlp_1_0__5=[8]))
    assert winner is not None
    assert winner.point == BASE
    assert (winner.gain.estimate, winner.gain.p_value) == (0.0, 1.0)


def test_the_gain_is_measured_on_test_once_that_has_run() -> None:
    points = [make_point(None, tested=True), make_point(1, tested=True)]
    rows = rows_of(base=[5], mlp_1_0__5=[8])
    before = find_winner(points, rows)
    after = find_winner(points, rows | rows_of(test_base=[6], test_mlp_1_0__5=[7]))
    assert before is not None
    assert after is not None
    assert (before.gain.split, before.rows["winner_test"]) == ("validation", None)
    assert after.gain.estimate == pytest.approx(0.1)
    assert after.rows["winner_test"] is not None


def test_no_winner_before_the_baseline_is_known() -> None:
    assert find_winner([BASE, GOOD], rows_of(mlp_1_0__5=[8])) is None


def test_each_module_has_its_own_winner_and_the_baseline_competes_in_all() -> None:
    attention = make_point(1, module="attn")
    rows = rows_of(base=[7], mlp_1_0__5=[8], attn_1_0__5=[3])
    winners = find_winners([BASE, GOOD, attention], rows)
    assert winners[4, "mlp"].point == GOOD
    assert winners[4, "attn"].point == BASE


def test_considered_counts_distinct_trials() -> None:
    twice = make_point(1)
    winner = find_winner([BASE, GOOD, twice], rows_of(base=[5], mlp_1_0__5=[8]))
    assert winner is not None
    assert winner.considered == 2


def test_the_gain_of_a_worked_example() -> None:
    # 20 examples: 6 gained, 1 lost; the exact McNemar p is 2 * (C(7,0) + C(7,1)) / 2**7 = 0.125
    ours = (True,) * 6 + (False,) + (True,) * 13
    theirs = (False,) * 6 + (True,) + (True,) * 13
    gain = measure_gain([stored_row(outcomes=ours)], [stored_row(outcomes=theirs)])
    assert gain.estimate == pytest.approx(0.25)
    assert gain.p_value == pytest.approx(0.125)
    assert -0.05 <= gain.low < 0.25 < gain.high <= 0.55


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(60):
        theirs = rng.random(200) < 0.7
        ours = np.where(rng.random(200) < 0.1, True, theirs)  # the true gain is 0.1 * 0.3
        gain = measure_gain([stored_row(outcomes=tuple(ours))], [stored_row(outcomes=tuple(theirs))])
        covered += gain.low <= 0.03 <= gain.high
    assert covered >= 51  # 57 expected; 51 or fewer has probability 0.02 at 95 %


def test_the_winner_is_picked_by_the_metric_of_its_points() -> None:
    accurate, balanced = (replace(point, metric="macro_f1") for point in (GOOD, EQUAL))
    rows = rows_of(base=[5], mlp_1_0__5=[9], mlp_2_0__5=[7])
    rows["mlp-1-0.5-0"].macro_f1, rows["mlp-2-0.5-0"].macro_f1 = 0.3, 0.6
    winner = find_winner([accurate, balanced], rows)
    assert winner is not None
    assert winner.point == balanced
    assert winner.score == 0.6
    assert winner.gain.estimate == pytest.approx(0.2)  # of accuracy: 7 of 10 against 5


def test_the_spread_is_the_standard_deviation_over_seeds() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    winner = find_winner(points, rows_of(base=[5, 5], mlp_1_0__5=[9, 7]))
    assert winner is not None
    assert winner.spread == pytest.approx(0.1 * 2**0.5)
    assert winner.baseline_spread == 0


def test_one_seed_has_no_spread() -> None:
    winner = find_winner([BASE, GOOD], rows_of(base=[5], mlp_1_0__5=[9]))
    assert winner is not None
    assert winner.spread is None


def sized(**kept: int) -> Mapping[str, StoredRow]:
    """Rows of the untouched model and three points with these parameters; the second is right where others are not."""
    right = {"base": range(10), "mlp_1": range(15), "mlp_2": [*range(13), 19], "mlp_3": range(5)}
    keys = {name: "base-0" if name == "base" else f"{name.replace('_', '-')}-0.5-0" for name in right}
    return {
        keys[name]: stored_row(keys[name], outcomes=tuple(n in rows for n in range(20)))
        | {"parameters_kept": kept.get(name, 100)}
        for name, rows in right.items()
    }


def by_one_error(*layers: int | None) -> list[Point]:
    return [replace(make_point(layer), rule=ONE_STANDARD_ERROR) for layer in layers]


def test_one_standard_error_takes_the_fewest_parameters_near_the_best() -> None:
    points = by_one_error(None, 1, 2, 3)
    winner = pick(points, sized(mlp_1=90, mlp_2=50, mlp_3=10))  # one of twenty behind
    assert winner == points[2]


def test_one_standard_error_leaves_out_what_is_further_behind() -> None:
    points = by_one_error(None, 1, 3)
    assert pick(points, sized(mlp_1=90, mlp_3=10)) == points[1]


def test_of_as_many_parameters_the_first_near_the_best_wins() -> None:
    points = by_one_error(2, 1)
    assert pick(points, sized(mlp_1=50, mlp_2=50)) == points[0]


def test_trials_that_a_race_stopped_were_considered() -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[3])
    rows["mlp-2-0.5-0"].state.value = "pruned"
    winner = find_winner([BASE, GOOD, EQUAL], rows)
    assert winner is not None
    assert winner.considered == 3
