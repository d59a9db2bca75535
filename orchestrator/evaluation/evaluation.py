"""Answer questions in this process: rows as a study stores them, the gain between two, and which examples turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clipsweep.analysis.row.record import make_record
from clipsweep.analysis.row.row import StoredRow, jsonable
from clipsweep.analysis.winners.gain import Gain, measure_gain
from clipsweep.analysis.winners.turned import Flips
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.evaluation.question import Checked, Question, check_question
from clipsweep.orchestrator.reporting.flips import Labels, find_flips
from clipsweep.orchestrator.words import Say, say_nothing
from clipsweep.trials.base.loading import nothing_collected
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A row, and what it does not hold.

    Attributes:
        row: As a study would store it.
        predicted: Index of the label that each example was given; empty where the trial failed.
    """

    row: StoredRow
    predicted: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was asked of a checkpoint, answered; and of another beside it, if there was one.

    Attributes:
        task: With its rows.
        answers: One for each number of shots and demonstration seed.
        others: The same of what it is compared with; empty where that is nothing.
        notes: What the user should know of the prompts.
    """

    task: Task
    answers: tuple[Answered, ...]
    others: tuple[Answered, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[StoredRow]:
        """Rows as a study stores them; a trial that failed is a row with its error."""
        return [each.row for each in self.answers]

    @property
    def against(self) -> list[StoredRow]:
        """The same of what it is compared with, in the same order."""
        return [each.row for each in self.others]

    @property
    def failed(self) -> list[StoredRow]:
        """Rows of trials that failed."""
        return [row for row in (*self.rows, *self.against) if not row.has_scores]

    @cached_property
    def gains(self) -> dict[int, Gain]:
        """By number of shots, the paired gain, demonstration seeds averaged; shots with a failed trial are left out."""
        pairs: dict[int, list[tuple[StoredRow, StoredRow]]] = {}
        for pair in zip(self.rows, self.against, strict=bool(self.others)):
            pairs.setdefault(pair[0].shots, []).append(pair)
        whole = {shots: held for shots, held in pairs.items() if all(row.has_scores for pair in held for row in pair)}
        return {shots: measure_gain(*zip(*held, strict=True)) for shots, held in whole.items()}

    @cached_property
    def flips(self) -> list[Flips]:
        """For each pair of rows, the examples that turn; none of texts, which are not answered."""
        return [
            find_flips(self.task, each.row, other.row, Labels(before=other.predicted, after=each.predicted))
            for each, other in zip(self.answers, self.others, strict=bool(self.others))
            if each.row.has_scores and other.row.has_scores and not each.row.is_text
        ]

    def document(self, limit: int | None = None) -> list[dict[str, Any]] | dict[str, Any]:
        """As JSON has it: rows as ``clipsweep results`` has them; with a comparison also its rows, gains and flips.

        Args:
            limit: How many examples of each direction; None for all.
        """
        rows = list(map(jsonable, self.rows))
        if not self.others:
            return rows
        return {
            "rows": rows,
            "against": list(map(jsonable, self.against)),
            "gains": [{"shots": shots, **asdict(gain)} for shots, gain in self.gains.items()],
            "flips": [each.document(limit) for each in self.flips],
        }


def evaluate_question(question: Question, other: Question | None, cache: Path, say: Say = say_nothing) -> Evaluation:
    """Evaluate a checkpoint in this process, on its GPU if it has one; nothing is stored but what the cache holds.

    Args:
        question: What is asked.
        other: The same of another checkpoint, or of the untouched model, to compare it with.
        cache: For factors, converted checkpoints, rows and file hashes.
        say: Shows the user what is waited for.

    Raises:
        ClipsweepError: Bad input, told before any weights are loaded; or a model that does not load.
    """
    say("looking at the model, the rows and the prompts …")
    checked = [check_question(each, cache) for each in (question, other) if each is not None]
    notes = tuple(dict.fromkeys(note for each in checked for note in each.notes))
    for note in notes:
        say(f"note: {note}")
    answers = answer_all(checked, say)
    others = () if other is None else answers[1]
    return Evaluation(task=checked[0].task, answers=answers[0], others=others, notes=notes)


def answer_all(checked: Sequence[Checked], say: Say = say_nothing) -> list[tuple[Answered, ...]]:
    """The answers to each question, in order; a model is loaded once for questions that follow each other.

    Captured for is what the first of them clips, so that one about the untouched model comes last.

    Raises:
        ClipsweepError: A model that does not load.
    """
    with nothing_collected():
        from clipsweep.cluster.replica import Replica  # here, as it loads torch and transformers

    answers: list[tuple[Answered, ...]] = []
    replica, loaded = None, None
    for each in checked:
        model, microbatch = each.study.model_settings(), each.study.cluster.microbatch
        assert isinstance(microbatch, int), "fill_in() resolves auto"
        if replica is None or model != loaded:
            replica = None  # goes before the next one comes
            say(f"loading {model.path} …")
            replica, loaded = Replica(each.settings, "in-process"), model
        say("evaluating …")
        results = [replica.evaluate(Batch(trials=(trial,), microbatch=microbatch))[0] for trial in each.trials]
        answers.append(tuple(_answered(result, each) for result in results))
    return answers


def _answered(result: TrialResult, checked: Checked) -> Answered:
    record = make_record(
        result, checked.context, attempt=1, parameters_kept=result.trial.resolved.parameters_kept, log_path=None
    )
    return Answered(row=StoredRow.of(record), predicted=result.predicted)
