from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.theory.regression import measure
from clipsweep.trials.theory.regression.clipping import make_clippable
from clipsweep.trials.theory.regression.measure import (
    CHOOSE,
    REPORT,
    curve_of,
    make_ground,
    mean_of,
    measure_checkpoint,
    measure_solvers,
)
from clipsweep.trials.theory.regression.training import load_trained
from tests.trials.theory.regression.tiny import CPU, TINY, quiet

Measured = dict[str, Any]


@pytest.fixture(scope="module")
def measured(trained: Path) -> Measured:
    return measure_checkpoint(make_ground(TINY, 0, CPU, trained), 200, quiet)


def test_a_mean_has_the_standard_error_of_its_values() -> None:
    assert mean_of(torch.tensor([1.0, 2.0, 3.0, 6.0])) == {"mean": 3.0, "standard_error": 1.08012}  # sqrt(14 / 3) / 2


def test_a_curve_has_a_mean_for_each_number_of_examples() -> None:
    curve = curve_of(torch.tensor([[1.0, 4.0], [3.0, 4.0]]))
    assert curve == {"mean": [2.0, 4.0], "standard_error": [1.0, 0.0]}


def test_prompts_to_choose_by_are_others_than_those_reported() -> None:
    prompts = make_ground(TINY, 0, CPU, Path()).prompts
    assert not torch.equal(prompts[CHOOSE].x, prompts[REPORT].x)


def test_few_examples_are_those_from_which_no_answer_follows() -> None:
    size = replace(TINY, n_dims=replace(TINY.n_dims, start=3, stop=3))
    counts = list(range(5))
    spans = make_ground(size, 0, CPU, Path()).spans
    assert {name: counts[span] for name, span in spans.items()} == {"few": [1, 2], "many": [3, 4]}


def test_solvers_err_as_they_must(trained: Path) -> None:
    solvers = measure_solvers(make_ground(replace(TINY, n_prompts=1000), 0, CPU, trained))
    assert solvers["zero"]["mean"] == pytest.approx([1] * 5, abs=0.35)
    assert solvers["least_squares"]["mean"][0] == solvers["zero"]["mean"][0]
    assert max(solvers["least_squares"]["mean"][3:]) < 1e-6


def test_what_a_clip_adds_is_the_mean_difference_over_the_same_prompts(measured: Measured, trained: Path) -> None:
    ground = make_ground(TINY, 0, CPU, trained)
    [found] = [
        clip for clip in measured["clips"] if (clip["layer"], clip["module"], clip["clip_rate"]) == (1, "mlp", 0.9)
    ]
    clippable = make_clippable(load_trained(TINY, 0, CPU, trained, 200), trained / "cache")
    prompts = ground.prompts[REPORT]
    clipped, plain = (clippable.errors(prompts, *clips) for clips in ([Clip(layer=1, module="mlp", clip_rate=0.9)], []))
    assert found["added"]["mean"] == pytest.approx((clipped - plain).mean(0).tolist(), rel=1e-4, abs=1e-7)
    assert found[REPORT]["many"]["mean"] == pytest.approx((clipped - plain)[:, 2:].mean().item(), rel=1e-4)


def test_clips_are_chosen_by_the_prompts_that_are_not_reported(measured: Measured) -> None:
    added = [clip[CHOOSE]["many"]["mean"] for clip in measured["clips"]]
    assert added[measured["chosen"]["many"]] == min(added)


def test_a_checkpoint_that_is_not_to_be_clipped_has_its_error_alone(trained: Path) -> None:
    found = measure_checkpoint(make_ground(TINY, 0, CPU, trained), 10, quiet)
    assert (found["clips"], found["chosen"]) == ([], {})
    assert len(found["untouched"]["mean"]) == 5


def test_what_was_measured_is_kept_and_not_measured_again(
    measured: Measured, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measure, "_measure", refuse)
    assert measure_checkpoint(make_ground(TINY, 0, CPU, trained), 200, quiet) == measured
    with pytest.raises(AssertionError):
        measure_checkpoint(make_ground(replace(TINY, n_prompts=65), 0, CPU, trained), 200, quiet)


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no whole checkpoint"):
        measure_checkpoint(make_ground(TINY, 0, CPU, tmp_path), 10, quiet)
