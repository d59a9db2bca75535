"""Examples that a stored trial turns: those that transformers turns, and what cannot be compared is refused."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import clipsweep
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.analysis.winners.turned import Flips
from clipsweep.orchestrator.api import StudyHandle
from clipsweep.orchestrator.evaluation.words import describe_flips
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import ClipsweepError
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.task import Task
from tests.conftest import tiny_study, write_rows
from tests.orchestrator.stored import latest_rows, take_snapshot
from tests.trials.reference import edit_in_place

FIXTURES = Path(__file__).parents[2] / "fixtures"
COLOURS = [" RED", " BLUE", " GOLD"]
WORDS = ["oak", "fox", "moss", "trail", "owl", "pine", "bark", "deer", "rain", "storm", "cloud", "snow", "wind"]
HALF_PRECISION = 2e-3


def colours(folder: Path, n_rows: int = 90) -> dict[str, Any]:
    """A task of three label words, its rows drawn with a seed."""
    rng = random.Random(0)
    rows = [{"text": " ".join(rng.sample(WORDS, 5)), "label": number % 3} for number in range(n_rows)]
    write_rows(folder / "train.jsonl", rows)
    definition = {"data": {"path": str(folder)}, "query": " {text}", "labels": COLOURS}
    return {"name": "colours", "definition": definition, "validation_size": 40, "test_size": 0}


@pytest.fixture(scope="module")
def three(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyHandle:
    """The tiny study on a task of three labels, run."""
    folder = tmp_path_factory.mktemp("three")
    content = tiny_study(tiny_gptj, task=colours(folder / "rows"), space={"layers": [1], "clip_rates": [0.9]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSWEEP_CACHE", str(folder / "cache"))
        return clipsweep.run(content, dir=folder / "s", quiet=True)


@pytest.fixture
def copied(finished_study: Path, tmp_path: Path, cache: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return Path(shutil.copytree(finished_study, tmp_path / "s"))


def clipped_row(study: StudyHandle) -> StoredRow:
    return next(row for row in study.stored_rows() if row.clips and row.clips[0].clip_rate == 0.9)


def predict(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, answers: list[str]) -> list[float]:
    """Log-likelihood of each answer after a prompt that its beginning token begins, one forward pass for each."""
    start, scores = [tokenizer.bos_token_id], []
    head = start + tokenizer(prompt).input_ids
    for answer in answers:
        ids = start + tokenizer(prompt + answer).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)
        scores.append(sum(float(logits[place - 1, ids[place]]) for place in range(len(head), len(ids))))
    return scores


def task_of(study: StudyHandle, cache: Path) -> Task:
    return load_task(study.study.task_settings(), cache)


def assert_as_by_hand(found: Flips, model_folder: Path, task: Task, answers: list[str]) -> None:
    """Each text that is shown gives, in transformers, the labels and margins that are shown; and no other turns."""
    untouched = AutoModelForCausalLM.from_pretrained(model_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    models = untouched, edit_in_place(untouched, found.row.clips)
    head = "".join(each.demonstration for each in task.draw_demonstrations(found.row.shots, found.row.demo_seed))
    by_text = {flip.text: flip for flip in found.flips}
    for example in task.splits[found.row.split]:
        before, after = (predict(model, tokenizer, head + example.query, answers) for model in models)
        given = answers[int(np.argmax(before))], answers[int(np.argmax(after))]
        gold = answers[example.gold]
        flip = by_text.pop(example.query, None)
        assert (flip is not None) == ((given[0] == gold) != (given[1] == gold))
        if flip is not None:
            assert (flip.gold, flip.before, flip.after) == (gold, *given)
            assert flip.gained == (given[1] == gold)
            margins = [_margin(before, example.gold), _margin(after, example.gold)]
            assert [flip.margin_before, flip.margin_after] == pytest.approx(margins, rel=HALF_PRECISION, abs=1e-3)
    assert not by_text


def _margin(scores: list[float], gold: int) -> float:
    return scores[gold] - max(score for label, score in enumerate(scores) if label != gold)


def test_what_turns_between_two_labels_is_what_turns_in_transformers(
    finished_study: Path, tiny_gptj: Path, cache: Path
) -> None:
    study = clipsweep.open_study(finished_study)
    found, task = study.flips(clipped_row(study).trial_id), task_of(study, cache)
    assert found.gained
    assert found.lost
    assert_as_by_hand(found, tiny_gptj, task, list(task.labels or ()))


def test_labels_of_more_than_two_are_told_by_evaluating_again(three: StudyHandle, tiny_gptj: Path, cache: Path) -> None:
    found = three.flips(clipped_row(three).trial_id, labels=True)
    assert len({flip.gold for flip in found.flips}) > 1
    assert found.notes == ()
    assert_as_by_hand(found, tiny_gptj, task_of(three, cache), COLOURS)


def test_without_that_a_wrong_label_of_more_than_two_is_not_told(three: StudyHandle, cache: Path) -> None:
    found = three.flips(clipped_row(three).trial_id)
    assert found.flips
    assert all((flip.before is None) == flip.gained for flip in found.flips)
    assert all((flip.after or flip.before) == flip.gold for flip in found.flips)


def test_those_whose_margin_moved_most_come_first(three: StudyHandle, cache: Path) -> None:
    moved = [flip.moved for flip in three.flips(clipped_row(three).trial_id).flips]
    assert moved == sorted(moved, reverse=True) != []


def test_the_winner_is_compared_where_its_gain_was_measured(finished_study: Path, cache: Path) -> None:
    winner = take_snapshot(finished_study).standings.winner
    assert winner is not None
    study = clipsweep.open_study(finished_study)
    found = study.flips()
    assert found.row == winner.rows["winner_test"]
    assert found.gain == winner.gain
    assert (len(found.gained) - len(found.lost)) / found.n_examples == pytest.approx(winner.gain.estimate)
    assert study.flips(split="validation").row == winner.rows["winner"]
    assert study.flips(str(found.row.trial_id)[:12], split="validation").row == winner.rows["winner"]


def test_of_a_raced_trial_the_rows_that_it_saw_are_compared(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    sizes = {"validation_size": 100, "test_size": 0}
    space = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0.3, 0.6, 0.9]}
    study = clipsweep.run(
        tiny_study(tiny_gptj, task=sizes, space=space, search={"race": "halving"}), dir=tmp_path / "s", quiet=True
    )
    stopped = next(row for row in study.stored_rows() if row.state is TrialState.PRUNED)
    found = study.flips(stopped.trial_id)
    assert (found.n_examples, found.n_rows) == (stopped.n_examples, 100)
    assert found.n_examples < 100
    assert f"the first {stopped.n_examples} of 100 rows are compared: the trial is pruned" in found.notes[0]
    outcomes = found.before.outcomes[: stopped.n_examples]
    assert len(found.flips) == int((outcomes != stopped.outcomes).sum())
    assert all(flip.number < stopped.n_examples for flip in found.flips)


def test_rows_without_margins_are_compared_without_them(cache: Path) -> None:
    found = clipsweep.open_study(FIXTURES / "schema-3").flips()
    assert found.flips
    assert {(flip.margin_before, flip.margin_after) for flip in found.flips} == {(None, None)}
    assert found.notes == ("rows of schema version 3 and older hold no margins",)
    assert [flip.number for flip in found.flips] == sorted(flip.number for flip in found.flips)


# What is refused


def fail(folder: Path, *trial_ids: str) -> None:
    """Store rows anew, those of some trials as if they had failed."""
    rows, trials = list(latest_rows(folder).values()), StudyFolder(folder).trials
    records = [row.record() | (FAILED if row.trial_id in trial_ids else {}) for row in rows]
    shutil.rmtree(trials)
    ResultsTable(trials).append(records)


FAILED = {
    "state": "failed",
    "error": "it went wrong",
    "margins": None,
    "outcomes": b"",
    "n_examples": 0,
} | dict.fromkeys(("accuracy", "macro_f1", "gold_logprob", "calibration_error"))


def test_a_failed_trial_is_refused_with_its_error(copied: Path) -> None:
    row = clipped_row(clipsweep.open_study(copied))
    fail(copied, row.trial_id)
    with pytest.raises(ClipsweepError, match=r"failed \(it went wrong\), so that no example can be compared"):
        clipsweep.open_study(copied).flips(row.trial_id)


def test_a_trial_without_its_baseline_is_refused(copied: Path) -> None:
    study = clipsweep.open_study(copied)
    row, before = clipped_row(study), study.flips(clipped_row(study).trial_id).before
    fail(copied, before.trial_id)
    with pytest.raises(
        ClipsweepError, match="has no baseline: the untouched model at 2 shots and demonstration seed 0"
    ):
        clipsweep.open_study(copied).flips(row.trial_id)


def test_the_untouched_model_is_refused(copied: Path) -> None:
    study = clipsweep.open_study(copied)
    before = study.flips(clipped_row(study).trial_id).before
    with pytest.raises(
        ClipsweepError, match="is the untouched model: it turns nothing.*'clipsweep results .*' lists them"
    ):
        study.flips(before.trial_id)


def test_a_study_without_a_winner_is_refused(copied: Path) -> None:
    fail(copied, *latest_rows(copied))
    with pytest.raises(ClipsweepError, match="no winner yet"):
        clipsweep.open_study(copied).flips()


def test_an_unknown_trial_is_refused_with_the_nearest(copied: Path) -> None:
    study = clipsweep.open_study(copied)
    key = clipped_row(study).trial_id
    with pytest.raises(ClipsweepError, match=f"no trial '{key[:-1]}x' .* Did you mean '{key}'"):
        study.flips(f"{key[:-1]}x")


def test_a_trial_that_has_no_row_on_the_split_is_refused(copied: Path) -> None:
    study = clipsweep.open_study(copied)
    tested = {row.clips for row in study.stored_rows() if row.split == "test"}
    row = next(row for row in study.stored_rows() if row.clips and row.clips not in tested)
    with pytest.raises(ClipsweepError, match="has no row on test: winners alone are run there"):
        study.flips(row.trial_id, split="test")


def test_a_split_that_the_study_has_not_is_refused(three: StudyHandle) -> None:
    with pytest.raises(ClipsweepError, match="has no row on test: the study has no test split"):
        three.flips(clipped_row(three).trial_id, split="test")
    with pytest.raises(ClipsweepError, match="no split 'tset'; known: test, validation. Did you mean 'test'"):
        three.flips(split="tset")


def test_rows_that_have_changed_since_are_refused(three: StudyHandle, tmp_path: Path, cache: Path) -> None:
    definition = three.study.task.definition
    assert definition is not None
    path = Path(definition.data.path) / "train.jsonl"
    before = path.read_text()
    path.write_text(before.replace("oak", "elm"))
    try:
        with pytest.raises(ClipsweepError, match="the rows of task 'colours' have changed since"):
            three.flips(clipped_row(three).trial_id)
    finally:
        path.write_text(before)


def test_another_checkpoint_in_the_place_of_the_model_is_refused_for_labels(
    three: StudyHandle, tiny_model: Path, cache: Path
) -> None:
    opened = three._snapshot.opened
    section = opened.study.model.model_copy(update={"path": "embedded"})
    study = opened.study.model_copy(update={"model": section})
    moved = StudyHandle(replace(three._snapshot, opened=replace(opened, study=study)))
    with pytest.raises(ClipsweepError, match="another checkpoint now"):
        moved.flips(clipped_row(three).trial_id, labels=True)


def test_the_number_of_a_late_row_stands_apart_from_its_labels() -> None:
    found = clipsweep.open_study(FIXTURES / "schema-5").flips()
    flips = replace(found, flips=(replace(found.gained[0], number=1028),))
    assert "row 1028 ' SOUTH' → ' NORTH'" in describe_flips(flips, 1, 80)
