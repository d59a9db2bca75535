import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import metadata_load
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.api import StudyHandle, open_study
from clipsweep.orchestrator.take_home.apply import stored_dtype
from clipsweep.orchestrator.take_home.evidence import compared_words
from clipsweep.orchestrator.take_home.pick_trial import pick_trial
from clipsweep.trials.base.errors import ModelError, PlaceError, SpecError, StudyError, TaskError
from clipsweep.trials.export import score
from clipsweep.trials.export.shards import metadata_of
from clipsweep.trials.spec.result import TrialState
from tests.conftest import save_tiny_model
from tests.orchestrator.stored import take_snapshot
from tests.orchestrator.take_home.studies import clipped_row, run_small

MakeStudy = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a study of it that has been run, and a cache."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSWEEP_CACHE", str(home / "cache"))
        save_tiny_model(home / "model", "gptj")
        run_small(home / "model", home / "study")
    return home


@pytest.fixture
def study(home: Path, monkeypatch: pytest.MonkeyPatch) -> StudyHandle:
    monkeypatch.setenv("CLIPSWEEP_CACHE", str(home / "cache"))
    return open_study(home / "study")


def test_the_winner_is_what_is_written(study: StudyHandle, tmp_path: Path) -> None:
    best = study.best()
    assert best is not None
    document = study.apply(tmp_path / "out", check=True)
    assert document["clips"] == best["winner"]["clips"]
    trials = {best[name]["trial_id"] for name in ("winner", "winner_test")}
    assert {each["trial_id"] for each in document["check"]["trials"]} == trials
    assert document["check"]["differ"] == 0


def test_the_card_says_what_was_clipped_how_it_scores_and_how_to_make_it_again(
    study: StudyHandle, tmp_path: Path, home: Path
) -> None:
    row = clipped_row(study)
    study.apply(tmp_path / "out", trial=row.trial_id)
    card = (tmp_path / "out" / "README.md").read_text()
    header = metadata_load(tmp_path / "out" / "README.md")
    assert header == {"library_name": "transformers", "tags": ["clipsweep", "svd"]}
    assert "`layer=1,module=mlp,clip_rate=0.9,kind=svd`" in card
    assert f"| validation | 20 | {row.accuracy:.4f} | " in card
    assert row.trial_id in card
    assert "clipsweep apply --model model --clip layer=1,module=mlp,clip_rate=0.9,kind=svd --dtype float32" in card
    assert str(home) not in card  # where it lay is nobody's business


def test_the_card_calls_the_winner_so_and_no_other_trial(study: StudyHandle, tmp_path: Path) -> None:
    winner = pick_trial(take_snapshot(study.folder), None)
    other = next(row for row in study.stored_rows() if row.clips and row.clips != winner.clips)
    study.apply(tmp_path / "out")
    study.apply(tmp_path / "other", trial=other.trial_id)
    assert "The winner was picked" in (tmp_path / "out" / "README.md").read_text()
    assert "The winner" not in (tmp_path / "other" / "README.md").read_text()


def test_the_recipe_is_in_the_files(study: StudyHandle, tmp_path: Path) -> None:
    row = clipped_row(study)
    study.apply(tmp_path / "out", trial=row.trial_id)
    recipe = json.loads(metadata_of(tmp_path / "out" / "model.safetensors")["clipsweep"])
    assert recipe["study"]["trial_ids"] == [row.trial_id]
    assert recipe["model_fingerprint"] == row.model_fingerprint


def test_the_licence_and_language_of_the_source_go_on(tmp_path: Path, cache: Path) -> None:
    save_tiny_model(tmp_path / "model", "gptj")
    (tmp_path / "model" / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\ntags: [x]\n---\n# Mine\n")
    study = run_small(tmp_path / "model", tmp_path / "study")
    study.apply(tmp_path / "out", trial=clipped_row(study).trial_id)
    header = metadata_load(tmp_path / "out" / "README.md") or {}
    assert (header["license"], header["language"]) == ("apache-2.0", "en")
    assert header["tags"] == ["clipsweep", "svd"]


def test_another_dtype_is_scored_and_what_it_turns_is_counted(study: StudyHandle, tmp_path: Path) -> None:
    document = study.apply(tmp_path / "out", trial=clipped_row(study).trial_id, dtype="bfloat16")
    assert document["dtype"] == "bfloat16"
    [trial] = document["check"]["trials"]
    assert (trial["n_examples"], len(trial["examples"])) == (20, trial["differ"])
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype.is_floating_point


def test_a_checkpoint_that_answers_otherwise_is_told(
    study: StudyHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = clipped_row(study)
    write = score.Scorer.__init__

    def spoilt(self: Any, folder: Path, *rest: Any, **named: Any) -> None:
        path = folder / "model.safetensors"
        save_file({name: 0.3 * tensor.roll(1, 0) for name, tensor in load_file(path).items()}, path, {"format": "pt"})
        write(self, folder, *rest, **named)

    monkeypatch.setattr(score.Scorer, "__init__", spoilt)
    [trial] = study.apply(tmp_path / "out", trial=row.trial_id, check=True)["check"]["trials"]
    assert trial["differ"] == len(trial["examples"]) > 0


def test_a_trial_may_be_named_by_its_first_digits(study: StudyHandle) -> None:
    row = clipped_row(study)
    assert pick_trial(take_snapshot(study.folder), row.trial_id[:8]).rows == (row,)


@pytest.mark.parametrize("named", ["ffffffffffff", ""])
def test_a_trial_that_is_not_there_is_refused(named: str, study: StudyHandle, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"no trial '{named}' in .*; expected a trial_id of"):
        study.apply(tmp_path / "out", trial=named)


def test_the_untouched_model_is_refused(study: StudyHandle, tmp_path: Path) -> None:
    [baseline] = (row for row in study.stored_rows() if not row.clips and row.split == "validation")
    with pytest.raises(StudyError, match="is the untouched model; expected a clip"):
        study.apply(tmp_path / "out", trial=baseline.trial_id)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (TrialState.FAILED, r"failed \(out of luck\); expected one that is complete"),
        (TrialState.PRUNED, r"was stopped by a race after 20 rows \(state pruned\)"),
        (TrialState.PARTIAL, r"was stopped by a race after 20 rows \(state partial\)"),
    ],
)
def test_a_trial_that_is_not_complete_is_refused(
    state: TrialState, words: str, study: StudyHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = take_snapshot(study.folder)
    row = clipped_row(study)
    changed = StoredRow.of(row.record() | {"state": state.value, "error": "out of luck"})
    monkeypatch.setitem(snapshot.__dict__, "rows", {row.trial_id: changed})
    with pytest.raises(StudyError, match=words):
        pick_trial(snapshot, row.trial_id)


def test_a_study_without_a_winner_says_so(study: StudyHandle, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "empty", ignore=shutil.ignore_patterns("*.parquet"))
    with pytest.raises(StudyError, match="has no winner yet"):
        open_study(tmp_path / "empty").apply(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_the_model_that_have_changed_since_are_refused(tmp_path: Path, cache: Path) -> None:
    model = save_tiny_model(tmp_path / "model", "gptj")
    study = run_small(model, tmp_path / "study")
    tensors = load_file(model / "model.safetensors")
    tensors["lm_head.bias"] += 1
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"have changed since .*study was run \(fingerprint"):
        study.apply(tmp_path / "out", trial=clipped_row(study).trial_id)
    assert not (tmp_path / "out").exists()


def test_other_rows_than_those_of_the_trial_are_refused_before_anything_is_written(
    study: StudyHandle, tmp_path: Path
) -> None:
    shutil.copytree(study.folder, tmp_path / "study")
    text = yaml.safe_load((tmp_path / "study" / "study.yaml").read_text())
    text["task"]["seed"] = 7
    (tmp_path / "study" / "study.yaml").write_text(yaml.safe_dump(text))
    with pytest.raises(TaskError, match="have changed since"):
        open_study(tmp_path / "study").apply(tmp_path / "out", trial=clipped_row(study).trial_id, check=True)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_refused(study: StudyHandle, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(PlaceError, match="is not empty"):
        study.apply(tmp_path)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"format": "factord"}, "no format 'factord'; known: dense, factored. Did you mean 'factored'?"),
        ({"dtype": "float61"}, "no dtype 'float61'; known: bfloat16, float16, float32. Did you mean 'float16'?"),
    ],
)
def test_a_format_or_dtype_that_there_is_not_is_refused(
    wish: dict[str, Any], words: str, study: StudyHandle, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        study.apply(tmp_path / "out", **wish)


def test_a_trial_with_the_winners_clips_at_other_shots_is_not_called_the_winner(tmp_path: Path, cache: Path) -> None:
    model = save_tiny_model(tmp_path / "model", "gptj")
    space = {"layers": [1], "clip_rates": [0, 0.9], "shots": [0, 2]}
    study = run_small(model, tmp_path / "study", space=space, task={"test_size": 0})
    rows = [row for row in study.stored_rows() if row.clips]
    winner = pick_trial(take_snapshot(study.folder), None)
    assert [row.clips for row in rows] == [winner.clips] * 2
    cards = {}
    for row in rows:
        study.apply(tmp_path / row.trial_id, trial=row.trial_id)
        cards[row.shots] = (tmp_path / row.trial_id / "README.md").read_text()
    assert {shots for shots, card in cards.items() if "The winner was" in card} == {winner.rows[0].shots}
    assert "Prompts have 0 demonstrations. " in cards[0]
    assert "Prompts have 2 demonstrations (seeds 0). " in cards[2]


@pytest.mark.parametrize(("shots", "seed"), [(0, ""), (2, ", seed 7,")])
def test_what_was_compared_is_said_in_a_sentence(shots: int, seed: str) -> None:
    compared = {"split": "validation", "differ": 3, "n_examples": 100, "shots": shots, "demo_seed": 7}
    assert compared_words(compared) == f"3 of 100 validation rows{seed} are answered otherwise than stored"


def test_without_a_study_the_dtype_is_that_of_the_files(home: Path, tmp_path: Path) -> None:
    assert stored_dtype(home / "model") == "float32"
    AutoModelForCausalLM.from_pretrained(home / "model").bfloat16().save_pretrained(tmp_path / "half")
    assert stored_dtype(tmp_path / "half") == "bfloat16"


def test_best_and_the_report_name_the_command(study: StudyHandle, tmp_path: Path) -> None:
    best = study.best()
    assert best is not None
    assert np.any([clip["clip_rate"] for clip in best["winner"]["clips"]])
    assert best["apply"] == f"clipsweep apply {study.folder} -o tiny-clipped" == study.apply_command()
    assert best["apply"] in study.report(tmp_path / "r.html").read_text()
