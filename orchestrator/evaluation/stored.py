"""Which examples a stored trial turns against its baseline."""

from __future__ import annotations

from pathlib import Path

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.turned import Flips
from clipsweep.orchestrator.evaluation.evaluation import Answered, answer_all
from clipsweep.orchestrator.evaluation.question import Checked, Question, check_question
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.reporting.flips import Labels, find_flips, refuse_text
from clipsweep.orchestrator.reporting.pairs import baseline_row, on_split, winner_row
from clipsweep.trials.base.errors import ModelError, StudyError, counted, unknown_name
from clipsweep.trials.spec.trial import SPLITS
from clipsweep.trials.tasks.task import Task


def stored_flips(
    snapshot: Snapshot,
    cache: Path,
    trial: str | None = None,
    split: str | None = None,
    *,
    labels: bool = False,
) -> Flips:
    """Compare a stored trial with its baseline, with the texts of the task's rows.

    Args:
        snapshot: Of the study.
        cache: Where rows are kept.
        trial: Its identity, or how that begins; None for the winner's at its first demonstration seed.
        split: Whose rows; None for the trial's own, of the winner test where that has been run.
        labels: Whether to load the model and evaluate both again, which tells the wrong labels of tasks of more than
            two.

    Raises:
        StudyError: No winner, no such trial, one that failed, the untouched model itself, no baseline for it, or a
            trial that scored texts.
        TaskError: The task's rows cannot be had, or have changed since the study ran.
        ModelError: The labels are asked for, and the model is not there any more.
    """
    if split not in (None, *SPLITS):
        raise StudyError(unknown_name("split", str(split), SPLITS))
    row = winner_row(snapshot, split) if trial is None else on_split(snapshot, snapshot.find(trial), split)
    before = baseline_row(snapshot, row)
    refuse_text(row)
    task = snapshot.opened.load_task(cache, row.task)
    if not labels:
        return find_flips(task, row, before)
    again = _evaluate_again(snapshot, [row, before], cache)
    known = Labels(before=_labels(task, before, again[1]), after=_labels(task, row, again[0]))
    return find_flips(task, row, before, known, _differences([row, before], again))


def _evaluate_again(snapshot: Snapshot, rows: list[StoredRow], cache: Path) -> list[Answered]:
    """What some trials give now, each at the microbatch that its row tells."""
    checked = [_check(snapshot, row, cache) for row in rows]
    return [answer for (answer,) in answer_all(checked)]


def _check(snapshot: Snapshot, row: StoredRow, cache: Path) -> Checked:
    study = snapshot.opened.study.of_task(row.task)
    space = study.space.model_copy(update={"shots": [row.shots], "demo_seeds": [row.demo_seed]})
    cluster = study.cluster.model_copy(update={"microbatch": row.microbatch})
    asked = study.model_copy(update={"space": space, "cluster": cluster})
    checked = check_question(Question(study=asked, split=row.split, clips=lambda _: row.clips), cache)
    if checked.card.fingerprint != row.model_fingerprint:
        raise ModelError(
            f"{study.model.path} has changed since {snapshot.opened.folder} ran: it is another checkpoint now. Bring "
            f"the one back that was run, or do without --labels."
        )
    return checked


def _labels(task: Task, row: StoredRow, again: Answered) -> list[int | None]:
    """The labels of the examples that a row has seen; None where the outcome is another now, or there is none."""
    if not again.row.has_scores:
        return [None] * row.n_examples
    gold = [example.gold for example in task.splits[row.split]]
    agree = zip(row.outcomes.tolist(), again.predicted, gold, strict=False)
    return [label if (label == right) == outcome else None for outcome, label, right in agree]


def _differences(rows: list[StoredRow], again: list[Answered]) -> list[str]:
    """That some outcomes are others now, or that a trial failed now."""
    notes = [f"evaluated again, trial {each.row.trial_id} failed: {each.row.error}" for each in again if each.row.error]
    pairs = [(row, each.row) for row, each in zip(rows, again, strict=True) if each.row.has_scores]
    count = sum(int((row.outcomes != now.outcomes[: row.n_examples]).sum()) for row, now in pairs)
    if count:
        notes.append(f"{counted(count, 'answer')} came out another way when evaluated again; their labels are not told")
    return notes
