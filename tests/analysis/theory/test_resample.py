"""Resamples: how often an interval by layer leaves out 0 by chance, what counts in each prompt set, partial trials."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clipsweep.analysis.theory.changes import Changes, changes_of
from clipsweep.analysis.theory.notes import MANY_LAYERS
from clipsweep.analysis.theory.ranks import spearman, spearman_by_group
from clipsweep.analysis.theory.resample import resample
from tests.analysis.theory.studies import clip_at, norms_of, theory_row

MEASURED = Path(__file__).parents[2] / "benchmarks" / "results" / "theory_intervals.json"


def study_of(gains: list[list[float]], quantities: list[list[float]], n_examples: list[int] | None = None) -> Changes:
    """A prompt set for each list: trials of layers 0, 1, … gain so much of 20 examples, of which none was right."""
    rows = {}
    for seed, (of_set, told) in enumerate(zip(gains, quantities, strict=True)):
        rows[f"base{seed}"] = theory_row(f"base{seed}", norms=norms_of([0.0]), outcomes=[False] * 20, seed=seed)
        for layer, (gain, log) in enumerate(zip(of_set, told, strict=True)):
            count = n_examples[layer] if n_examples else 20
            outcomes = [example < gain * count for example in range(count)]
            name = f"{seed}-{layer}"
            rows[name] = theory_row(name, [clip_at(layer)], norms_of([log]), outcomes=outcomes, seed=seed)
    return changes_of(rows)


def test_prompt_sets_of_other_levels_do_not_make_a_relation() -> None:
    # within each set the order is reversed; over both together it would rise
    gains, logs = [[0.4, 0.3, 0.2, 0.1], [0.9, 0.8, 0.7, 0.6]], [[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]]
    assert resample(study_of(gains, logs))["sum_delta_w"].rho == pytest.approx(-1)


def test_prompt_sets_count_by_their_trials_and_those_of_fewer_than_four_do_not() -> None:
    # -1 of 4 trials, 1 of 6, and 3 trials that do not count: (4 * -1 + 6 * 1) / 10
    gains = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.3, 0.2, 0.1]]
    logs = [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0]]
    found = resample(study_of(gains, logs))["sum_delta_w"]
    assert found.rho == pytest.approx(0.2)
    assert found.n_trials == 10


def test_resamples_by_example_are_of_the_examples_that_each_trial_has_seen() -> None:
    # all that a trial has seen, or none of it, is gained: whatever is drawn, the gains are 1 and 0
    found = resample(study_of([[0.0, 1.0, 0.0, 1.0]], [[1.0, 2.0, 1.0, 2.0]], [20, 18, 16, 20]))["sum_delta_w"]
    assert found.by_example is not None
    np.testing.assert_allclose(found.by_example, 1.0)


def test_a_resample_by_example_counts_accuracies_anew() -> None:
    changes = study_of([[0.1, 0.5, 0.3, 0.8, 0.2]], [[1.0, 2.0, 5.0, 4.0, 3.0]])
    drawn = np.random.default_rng([0, 0]).multinomial(20, np.full(20, 1 / 20), 1000)[7]
    gains = [float(turned @ drawn) for turned in changes.turned]
    expected = spearman(np.array([1.0, 2.0, 5.0, 4.0, 3.0]), np.array(gains))
    found = resample(changes)["sum_delta_w"].by_example
    assert found is not None
    assert found[7] == pytest.approx(expected)


def test_a_prompt_set_in_which_no_gain_varies_counts_neither_in_the_correlation_nor_in_resamples() -> None:
    gains, logs = [[0.1, 0.5, 0.3, 0.8, 0.2], [0.4] * 5], [[1.0, 2.0, 5.0, 4.0, 3.0]] * 2
    alone, both = (resample(study_of(gains[:count], logs[:count]))["sum_delta_w"] for count in (1, 2))
    assert both.rho == alone.rho
    assert both.by_layer is not None
    assert alone.by_layer is not None
    assert both.by_layer.tolist() == alone.by_layer.tolist()


def test_resamples_that_do_not_vary_count_as_0() -> None:
    # one example is gained by layer 0 alone: whatever does not hold both varies in nothing
    found = resample(study_of([[0.05, 0.0, 0.0, 0.0, 0.0, 0.0]], [[-1.0, 1.0, 2.0, 3.0, 4.0, 5.0]]))["sum_delta_w"]
    assert found.rho < -0.6
    assert found.by_layer is not None
    assert found.by_example is not None
    # the layer is not drawn in (5/6)^6 = 0.33 of resamples, the example in (19/20)^20 = 0.36
    assert np.mean(found.by_layer == 0) == pytest.approx((5 / 6) ** 6, abs=0.05)
    assert np.mean(found.by_example == 0) == pytest.approx((19 / 20) ** 20, abs=0.05)
    assert not np.isnan(found.by_layer).any()
    assert not np.isnan(found.by_example).any()


def test_one_module_alone_is_not_resampled() -> None:
    found = resample(study_of([[0.1, 0.5, 0.3, 0.8]], [[1.0, 2.0, 5.0, 4.0]]), "mlp")["sum_delta_w"]
    assert found.rho == pytest.approx(0.4)
    assert (found.by_layer, found.by_example) == (None, None)


def test_where_nothing_tells_the_gain_an_interval_by_layer_of_many_layers_leaves_out_0_about_as_often_as_it_says() -> (
    None
):
    rng, left_out, n_layers = np.random.default_rng(0), 0, 24
    groups = np.repeat(np.arange(n_layers), 6)
    for _ in range(100):
        quantity, gain = rng.normal(size=(2, len(groups))) + rng.normal(size=(2, n_layers))[:, groups]
        draws = rng.multinomial(n_layers, np.full(n_layers, 1 / n_layers), 500).astype(float)
        low, high = np.quantile(spearman_by_group(quantity[None], gain, groups, draws)[0], [0.025, 0.975])
        left_out += not low <= 0 <= high
    assert left_out <= 11  # 5 expected; 12 or more has probability 0.004 at 5 %


def test_few_layers_and_no_few_gains_were_measured_to_let_intervals_leave_out_0_too_often() -> None:
    lines = json.loads(MEASURED.read_text(encoding="utf-8"))["lines"]
    found = [(int(line["name"].split()[0]), line["value"]) for line in lines]  # 5 % expected
    assert {line["value"] for line in lines if "1 of them" in line["name"] or "2 of them" in line["name"]} == {0}
    assert max(share for n_layers, share in found if n_layers >= MANY_LAYERS) < 10
    few = {n_layers for n_layers, _ in found if n_layers < MANY_LAYERS}
    assert all(max(share for of, share in found if of == n_layers) > 10 for n_layers in few)
