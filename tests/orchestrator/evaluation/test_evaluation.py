"""A checkpoint that is evaluated alone: its row is the one that a study stores, bit by bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import clipsweep
from clipsweep.analysis.row.row import StoredRow, jsonable
from clipsweep.orchestrator.evaluation.evaluation import Evaluation
from clipsweep.trials.base.errors import ClipsweepError
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from tests.conftest import save_tiny_model
from tests.orchestrator.stored import latest_rows, take_snapshot
from tests.trials.tokens.tokenizers import byte_level

TASK = {"name": "episodes", "validation_size": 20, "test_size": 20, "seed": 0}
OF_THE_RUN = {"study", "seconds", "started_at", "finished_at"}
MLP = Clip(layer=1, module="mlp", clip_rate=0.9)

pytestmark = pytest.mark.usefixtures("cache")


def evaluate(model: Path, **options: Any) -> Evaluation:
    return clipsweep.evaluate(model, task=TASK, **{"shots": 2, **options})


def lasting(row: StoredRow) -> dict[str, Any]:
    """What of a row another evaluation of the same trial must give again."""
    return {key: value for key, value in row.record().items() if key not in OF_THE_RUN}


def test_the_row_of_every_trial_is_the_one_that_a_study_stores(tiny_gptj: Path, finished_study: Path) -> None:
    stored = latest_rows(finished_study)
    again = [evaluate(tiny_gptj, clips=row.clips, split=row.split).rows for row in stored.values()]
    assert [lasting(row) for (row,) in again] == [lasting(row) for row in stored.values()]
    assert {row.split for row in stored.values()} == {"validation", "test"}


def test_what_it_gains_on_the_untouched_model_is_what_the_study_says(tiny_gptj: Path, finished_study: Path) -> None:
    winner = take_snapshot(finished_study).standings.winner
    assert winner is not None
    evaluation = evaluate(tiny_gptj, clips=winner.point.clips, split="test", against="untouched")
    assert evaluation.gains == {2: winner.gain}
    assert lasting(evaluation.against[0]) == lasting(winner.comparison.baseline[0])


def test_another_checkpoint_with_another_tokenizer_is_compared_example_by_example(
    tiny_gptj: Path, tmp_path: Path
) -> None:
    other = save_tiny_model(tmp_path / "other", "llama", seed=1)
    byte_level().save_pretrained(other)
    evaluation = evaluate(tiny_gptj, against=other, clips=[MLP])
    (row,), (before,) = evaluation.rows, evaluation.against
    assert lasting(before) == lasting(evaluate(other).rows[0])
    assert lasting(row) == lasting(evaluate(tiny_gptj, clips=[MLP]).rows[0])
    assert evaluation.gains[2].estimate == pytest.approx(row.score("accuracy") - before.score("accuracy"))
    (flips,) = evaluation.flips
    differ = np.flatnonzero(row.outcomes != before.outcomes).tolist()
    assert sorted(flip.number for flip in flips.flips) == differ != []


def test_there_is_a_row_for_each_number_of_shots_and_each_seed_that_counts(tiny_gptj: Path) -> None:
    rows = evaluate(tiny_gptj, shots=[0, 2], demo_seeds=[0, 1]).rows
    assert [(row.shots, row.demo_seed) for row in rows] == [(0, 0), (2, 0), (2, 1)]


def test_the_gain_of_several_seeds_counts_an_example_once(tiny_gptj: Path) -> None:
    evaluation = evaluate(tiny_gptj, demo_seeds=[0, 1], clips=[MLP], against="untouched")
    differences = np.mean([row.outcomes.astype(float) for row in evaluation.rows], axis=0)
    differences -= np.mean([row.outcomes for row in evaluation.against], axis=0)
    assert evaluation.gains[2].estimate == pytest.approx(float(differences.mean()))
    assert [flips.row.demo_seed for flips in evaluation.flips] == [0, 1]


def test_its_document_holds_rows_alone_or_the_comparison_too(tiny_gptj: Path) -> None:
    alone = evaluate(tiny_gptj, clips=[MLP])
    assert alone.document() == list(map(jsonable, alone.rows))
    document = evaluate(tiny_gptj, clips=[MLP], against="untouched").document(1)
    assert isinstance(document, dict)
    assert list(document) == ["rows", "against", "gains", "flips"]
    assert all(len(flips["flips"]) <= 2 for flips in document["flips"])


def test_a_trial_that_fails_is_a_row_with_its_error_and_has_no_gain(tiny_gptj: Path, tmp_path: Path) -> None:
    broken = save_tiny_model(tmp_path / "broken", "gptj")
    weights = load_file(broken / "model.safetensors")
    weights["transformer.h.0.mlp.fc_in.weight"][0, 0] = torch.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    evaluation = evaluate(broken, against=tiny_gptj)
    assert [row.state for row in evaluation.failed] == [TrialState.FAILED]
    assert "not finite" in str(evaluation.rows[0].error)
    assert (evaluation.gains, evaluation.flips) == ({}, [])


@pytest.mark.parametrize(
    ("section", "words"),
    [({"model": {"dtype": "float32"}}, "model has no key 'path'"), ({"task": {"seed": 1}}, "task has no key 'name'")],
)
def test_a_section_without_what_it_names_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ClipsweepError, match=words):
        clipsweep.evaluate(**{"model": "embedded", "task": "episodes"} | section)
