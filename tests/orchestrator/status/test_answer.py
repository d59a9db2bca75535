"""The answer in words: every number with its name, and what should be known beside it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clipsweep
from clipsweep.analysis.winners.several import Barred, BrokenGuard
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.reporting.report_facts import write_study_report
from clipsweep.orchestrator.status.answer import NO_WINNER, barred_words, describe_winner, study_notes
from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.tasks.task import Task
from tests.analysis.store.rows import failed_record, stored_record, text_record
from tests.analysis.winners.points import make_point
from tests.orchestrator.folder.made_up import open_made_up, trial_ids
from tests.trials.models.test_card import CARD

MakeStudy = Callable[..., dict[str, Any]]
MACRO_F1 = {
    "data": {"path": "data"},
    "query": "{text}",
    "labels": {"a": " yes", "b": " no"},
    "metric": "macro_f1",
    "splits": {"test": "train"},
}


def scored(opened: OpenStudy, *right: int, split: str = "validation") -> None:
    """Store how many of 100 outcomes are right: of the untouched model, then of each clip."""
    for trial_id, count in zip(trial_ids(opened, split), right, strict=False):
        record = stored_record(trial_id, outcomes=(True,) * count + (False,) * (100 - count))
        opened.table.append([record | {"split": split, "macro_f1": count / 200}])


def no_task() -> Task:
    raise TaskError("the rows are gone")


@pytest.fixture
def space() -> dict[str, Any]:
    return {"layers": [0], "clip_rates": [0.5, 0.9]}


def test_accuracy_is_named_wherever_it_stands(make_study: MakeStudy, space: dict[str, Any], tmp_path: Path) -> None:
    opened = open_made_up(make_study(space=space), tmp_path)
    scored(opened, 60, 70, 50)
    winner, baseline, gain = describe_winner(Snapshot.take(opened).standings).splitlines()
    assert "accuracy 0.7000 on validation, best of 3 points (3 trials)" in winner
    assert baseline.endswith("accuracy 0.6000 on validation")
    assert "accuracy +10.0 points on validation (95 % interval" in gain
    assert gain.endswith("): not tested, may be chance")


def test_the_untouched_model_alone_is_no_winner_yet(
    make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    opened = open_made_up(make_study(space=space), tmp_path)
    scored(opened, 60)
    assert describe_winner(Snapshot.take(opened).standings) == NO_WINNER
    scored(opened, 60, 50)
    assert describe_winner(Snapshot.take(opened).standings).endswith(": no gain")


def test_what_was_stopped_failed_or_has_yet_to_run_is_told_beside_the_answer(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    space = {"layers": [0], "clip_rates": [0.2, 0.4, 0.6, 0.8]}
    opened = open_made_up(make_study(space=space, search={"race": "halving"}), tmp_path)
    ids = trial_ids(opened)
    scored(opened, 60, 70)
    opened.table.append([stored_record(ids[2], state=TrialState.PRUNED), failed_record(trial_id=ids[3])])
    snapshot = Snapshot.take(opened)
    so_far = "this is the answer so far, after 3 of 7 trials"  # five on validation, and two on test
    assert "best of 3 points (3 trials, 1 stopped early, 1 more failed)" in describe_winner(snapshot.standings)
    assert [note.startswith(so_far) for note in study_notes(snapshot)] == [True]
    page = write_study_report(snapshot, no_task, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "3 of 5 points evaluated, by 4 trials: 4 on validation; 1 of them stopped early by the race" in page
    assert so_far in page


def test_another_metric_is_named_on_every_line_with_the_accuracy_beside_it(
    make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    opened = open_made_up(make_study(space=space, task={"name": "own", "definition": MACRO_F1}), tmp_path)
    scored(opened, 60, 70, 50)
    scored(opened, 55, 65, split="test")
    winner, baseline, gain = describe_winner(Snapshot.take(opened).standings).splitlines()
    assert ": macro_f1 0.3500 on validation" in winner
    assert ": macro_f1 0.3000 on validation" in baseline
    assert "accuracy +10.0 points on test (0.6500 against 0.5500" in gain
    assert gain.endswith("): a gain, unlikely to be chance; macro_f1 on test 0.3250 against 0.2750")


@pytest.mark.parametrize(("right", "noted"), [(34, True), (42, True), (52, False), (20, True)])
def test_a_model_at_chance_is_said_to_be(
    right: int, noted: bool, make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    opened = open_made_up(make_study(space=space), tmp_path)
    opened.subject.first.split_sizes["validation"] = 100
    opened.subject.first.most_common["validation"] = 0.34
    scored(opened, right, 60)
    notes = study_notes(Snapshot.take(opened))
    assert sum(f"accuracy of {right / 100:.4f} is that of chance" in note for note in notes) == noted


def test_of_choices_by_row_chance_is_that_of_guessing(
    make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    opened = open_made_up(make_study(space=space), tmp_path)
    opened.subject.first.split_sizes["validation"] = 100
    opened.subject.first.guessing["validation"] = 0.25
    scored(opened, 27, 60)
    (note,) = (note for note in study_notes(Snapshot.take(opened)) if "chance" in note)
    assert "accuracy of 0.2700 is that of chance: guessing has 0.2500 on these 100 rows" in note


@pytest.mark.parametrize(("above", "noted"), [(-0.01, False), (0.01, True)])
def test_text_that_is_no_likelier_than_any_token_is_told(
    above: float, noted: bool, make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    task = {"name": "text", "text": "t.txt", "seed": 49}
    opened = open_made_up(make_study(space={**space, "shots": [0]}) | {"task": task}, tmp_path)
    per_token = -(math.log(CARD.vocabulary_size) + above)
    for trial_id in trial_ids(opened):
        opened.table.append([text_record([per_token, per_token], [1, 1], trial_id)])
    notes = study_notes(Snapshot.take(opened))
    assert sum(f"ln {CARD.vocabulary_size:,} = " in note for note in notes) == noted


def test_what_is_known_of_the_rows_stands_beside_the_answer(
    make_study: MakeStudy, space: dict[str, Any], tmp_path: Path
) -> None:
    opened = open_made_up(make_study(space=space), tmp_path)
    opened.subject.first.notes.append("accuracy of task own is the harness's acc_norm")
    scored(opened, 60, 70, 50)
    snapshot = Snapshot.take(opened)
    assert "note      accuracy of task own is the harness's acc_norm" in describe_winner(
        snapshot.standings, study_notes(snapshot)
    )


def test_the_document_has_the_mean_over_seeds_beside_the_rows_of_the_first(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = clipsweep.run(make_study(space={"demo_seeds": [0, 1], "layers": [1]}), dir=tmp_path / "s")
    document, words = study.best(), study.describe()
    assert document is not None
    assert words is not None
    assert (document["metric"], document["gain"]["metric"]) == ("accuracy", "accuracy")
    assert f"accuracy {document['score']:.4f} ± {document['spread']:.4f}" in words
    assert document["notes"] == [line.removeprefix("note      ") for line in words.splitlines()[3:]]


def test_the_report_names_the_metric_counts_trials_by_split_and_has_the_note(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = clipsweep.run(make_study(), dir=tmp_path / "s")
    page = study.report_file.read_text(encoding="utf-8")
    assert "5 of 5 points evaluated, by 7 trials: 5 on validation, 2 on test" in page
    assert "accuracy on validation, clipped</dt>" in page
    assert "is that of chance" in page


def test_guards_that_a_better_point_breaks_are_told_one_by_one() -> None:
    guards = (
        BrokenGuard(task="sst2", metric="accuracy", lost=0.01, lose_at_most=0.0),
        BrokenGuard(task="mrpc", metric="accuracy", lost=0.03333, lose_at_most=0.001),
    )
    assert barred_words(Barred(point=make_point(0), score=0.75, guards=guards)).endswith(
        "scores better (0.7500 on validation), but loses 1 point of accuracy on task sst2, where none may be lost, and "
        "loses 3.333 points of accuracy on task mrpc, where 0.1 points may be lost"
    )
