"""From a study to a checkpoint to plain transformers: each example is answered as the stored trial answered it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.api import StudyHandle
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.checkpoint.weight_files import stored_tensors
from clipsweep.trials.export.factored import load_factored
from clipsweep.trials.scores.judge import measure_margins, score_labels
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tokens.encode import encode_prompts
from tests.orchestrator.take_home.studies import clipped_row, run_small, save_with_tokenizer
from tests.trials.architectures import CONTEXT_LENGTH
from tests.trials.reference import score_one_by_one

PROMISED = ("gptj", "llama", "gpt2", "gpt_neox", "mixtral", "gemma2")  # transposed, fused, experts, tied


def answers_of(
    model: PreTrainedModel, folder: Path, study: StudyHandle, row: StoredRow
) -> tuple[list[bool], list[float]]:
    """Outcomes and margins of a checkpoint, each prompt alone through the model's own forward pass."""
    task = load_task(study.study.task_settings(), default_cache())
    wanted = PromptSet(shots=row.shots, demo_seed=row.demo_seed, split=row.split)
    prompts = encode_prompts(task, AutoTokenizer.from_pretrained(folder), wanted, CONTEXT_LENGTH)
    with torch.inference_mode():
        scores = score_one_by_one(model, prompts).numpy()
    gold = [query.gold for query in prompts.queries]
    return list(score_labels(scores, gold)[0]), list(measure_margins(scores, gold))


def check_answers(folder: Path, study: StudyHandle, row: StoredRow) -> None:
    """Plain transformers, with the checkpoint of a trial, answers as that is stored."""
    outcomes, margins = answers_of(AutoModelForCausalLM.from_pretrained(folder), folder, study, row)
    assert outcomes == row.outcomes.tolist()
    assert row.margins is not None
    np.testing.assert_allclose(np.asarray(margins, dtype=np.float16), row.margins, rtol=2e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_the_checkpoint_answers_each_example_as_the_stored_trial(name: str, tmp_path: Path, cache: Path) -> None:
    model = save_with_tokenizer(name, tmp_path / "model")
    study = run_small(model, tmp_path / "study", space={"layers": [1], "modules": ["all"], "clip_rates": [0, 0.9]})
    row = clipped_row(study)
    document = study.apply(tmp_path / "out", trial=row.trial_id, check=True)
    assert document["check"]["differ"] == 0
    check_answers(tmp_path / "out", study, row)


@pytest.mark.slow
def test_thin_factors_answer_each_example_as_the_stored_trial(tmp_path: Path, cache: Path) -> None:
    model = save_with_tokenizer("llama", tmp_path / "model")
    study = run_small(model, tmp_path / "study", space={"layers": [1], "clip_rates": [0, 0.9]})
    row = clipped_row(study)
    document = study.apply(tmp_path / "thin", trial=row.trial_id[:8], format="factored", check=True)
    assert (document["check"]["differ"], document["kept_whole"]) == (0, [])
    outcomes, _ = answers_of(load_factored(tmp_path / "thin"), tmp_path / "thin", study, row)
    assert outcomes == row.outcomes.tolist()


@pytest.mark.slow
def test_a_tied_head_is_stored_once(tmp_path: Path, cache: Path) -> None:
    model = save_with_tokenizer("gemma2", tmp_path / "model")
    study = run_small(model, tmp_path / "study", space={"layers": [1], "clip_rates": [0, 0.9]})
    study.apply(tmp_path / "out", trial=clipped_row(study).trial_id)
    assert not any("lm_head" in name for name in stored_tensors(tmp_path / "out"))
