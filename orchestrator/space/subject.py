"""What a study is about: its model and its task, as far as trials and figures depend on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.trial import TEST, TrialSpec
from clipsweep.trials.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What the name of a task stands for.

    Attributes:
        task_fingerprint: The task with its rows.
        split_sizes: Rows of each split.
        dropped: Rows kept out of demonstrations and of validation because their text is in another split.
        most_common: By split, the share of rows whose answer is the most common one, of tasks with label words; empty
            in older folders.
        guessing: By split, what guessing scores, of tasks whose rows have choices of their own; empty in older folders.
        notes: What the user should know of how the rows were come by, and of what is scored; the same.
    """

    task_fingerprint: str
    split_sizes: dict[str, int]
    dropped: dict[str, int]
    most_common: dict[str, float] = field(default_factory=dict)
    guessing: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, task: Task) -> TaskFacts:
        """Those of a task with its rows."""
        return cls(
            task_fingerprint=task.fingerprint,
            split_sizes={split: len(rows) for split, rows in task.splits.items()},
            dropped=dict(task.dropped),
            most_common=task.most_common,
            guessing=task.guessing,
            notes=list(task.notes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the names in a study file stand for.

    With it the results can be read where neither the checkpoint nor the data is.

    Attributes:
        card: The model.
        first: Its task; of several the first.
        others: The further tasks, by name.
    """

    card: ModelCard
    first: TaskFacts
    others: dict[str, TaskFacts] = field(default_factory=dict)

    @property
    def tested(self) -> bool:
        """Whether the task has a test split; of several tasks whether each has one."""
        return all(each.split_sizes.get(TEST) for each in self._each)

    def of(self, task: str) -> TaskFacts:
        """What is known of one of its tasks."""
        return self.others.get(task, self.first)

    @property
    def fingerprints(self) -> set[str]:
        """Of all its tasks."""
        return {each.task_fingerprint for each in self._each}

    @property
    def _each(self) -> list[TaskFacts]:
        """What is known of each of its tasks."""
        return [self.first, *self.others.values()]

    def trial_id(self, spec: TrialSpec) -> str:
        """The identity of a trial.

        Raises:
            SpecError: The model does not have what a clip names.
        """
        return trial_id(spec, self.card, self.of(spec.task).task_fingerprint)
