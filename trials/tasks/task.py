"""A task with its rows: what every replica and the driver agree on."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from clipsweep.trials.base.errors import TaskError, counted
from clipsweep.trials.prompts.reader import PromptReader
from clipsweep.trials.rows.split_rows import Origin
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.tasks.definition import Example, Objective, TaskDefinition, Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task with its rows.

    Attributes:
        name: As the study names it.
        seed: Of the splits.
        definition: How it is scored; and, where ``reader`` is None, where the rows came from and how they are worded.
        demonstrations: Rows that demonstrations are drawn from; of the release the demonstrations in their order.
        splits: Rows of ``validation`` and ``test`` in their seeded order; no ``test`` where there is none.
        dropped: Rows kept out of ``demonstrations`` and of ``validation`` because their text is in another split.
        fixed: Whether the demonstrations are the release's, the same for every seed.
        strict: Whether a prediction that ties is wrong, as in the release.
        truncate: ``"error"``, or ``"demonstrations"`` to leave out the last of them where a prompt is too long.
        origins: What the rows were read from; no part of the fingerprint.
        reader: Makes the prompts of a task that does so itself; None where the definition's wording makes them.
        prompts_hash: Hash of what the rows do not tell of such prompts; None where they tell all.
        notes: What the user should know of how the rows were come by.
    """

    name: str
    seed: int
    definition: Objective
    demonstrations: tuple[Example, ...]
    splits: Mapping[str, tuple[Example, ...]]
    dropped: Mapping[str, int]
    fixed: bool = False
    strict: bool = False
    truncate: str = "error"
    origins: tuple[Origin, ...] = ()
    reader: PromptReader | None = None
    prompts_hash: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def read_by(self) -> str | None:
        """Its name, where a reader makes its prompts."""
        return None if self.reader is None else self.name

    @property
    def worded(self) -> TaskDefinition:
        """The definition, where its wording makes the prompts."""
        assert isinstance(self.definition, TaskDefinition), "a task with a reader has no wording"
        return self.definition

    @property
    def wording(self) -> Wording:
        """How its rows become text, where that makes the prompts."""
        return self.worded.wording

    @property
    def ends_answers(self) -> bool:
        """Whether the end-of-text token is scored with each answer."""
        return isinstance(self.definition, TaskDefinition) and self.definition.end_of_answer

    @property
    def fingerprint(self) -> str:
        """Hash of wording, scoring, seed and the rows of each split, their numbers in order: 32 hexadecimal digits."""
        rows = {"demonstrations": self.demonstrations, **self.splits}
        content = {
            "scoring": self.definition.scoring,
            "strict": self.strict,
            "seed": self.seed,
            "rows": {split: list(map(_content, members)) for split, members in rows.items()},
        } | ({"end_of_answer": True} if self.ends_answers else {})
        if self.prompts_hash is not None:
            content["prompts"] = self.prompts_hash
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def most_common(self) -> dict[str, float]:
        """By split, the share of rows whose answer is the most common one: what always giving it scores.

        None of a task without label words of its own to choose among.
        """
        if not self.chooses or self.labels is None:
            return {}
        counts = {split: Counter(row.gold for row in rows) for split, rows in self.splits.items()}
        return {split: max(count.values()) / count.total() for split, count in counts.items()}

    @property
    def guessing(self) -> dict[str, float]:
        """By split, the mean of 1 / number of choices: what guessing scores where each row has choices of its own.

        None of a task with label words, whose ``most_common`` tells more, and where nothing is chosen among.
        """
        if not self.chooses or self.labels is not None:
            return {}
        return {split: fmean(1 / len(row.answers) for row in rows) for split, rows in self.splits.items()}

    @property
    def chooses(self) -> bool:
        """Whether there are answers to choose among; open answers and texts have none."""
        return self.definition.scoring not in (Scoring.TEXT, Scoring.GREEDY)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Label words, where they are the same for every row; None for candidates."""
        first = self.splits[VALIDATION][0].answers
        return first if all(row.answers == first for rows in self.splits.values() for row in rows) else None

    def draw_demonstrations(self, shots: int, demo_seed: int) -> list[Example]:
        """Draw balanced demonstrations; fewer shots of one seed are the first of its more shots.

        Classes take turns, in a random order within each turn; the release's are what they are. A task whose prompts
        a reader makes has none to draw.

        Raises:
            TaskError: A class has too few rows.
        """
        if self.reader is not None:
            return []
        if self.fixed:
            if shots > len(self.demonstrations):
                raise TaskError(
                    f"{shots} shots of task {self.name!r} are more than the {len(self.demonstrations)} demonstrations "
                    f"of variant release. Ask for fewer, or use variant: paper."
                )
            return list(self.demonstrations[:shots])
        rng = random.Random(f"demonstrations {demo_seed}")
        by_class: list[list[Example]] = [[] for _ in range(self.worded.n_classes)]
        for row in self.demonstrations:
            by_class[row.gold].append(row)
        for rows in by_class:
            rng.shuffle(rows)
        drawn: list[Example] = []
        while len(drawn) < shots:
            for label in rng.sample(range(len(by_class)), len(by_class)):
                if not by_class[label]:
                    raise TaskError(
                        f"{counted(shots, 'shot')} of task {self.name!r} need more rows of the class of answer "
                        f"{self.wording.answers[label]!r} than the "
                        f"{sum(row.gold == label for row in self.demonstrations)} kept for demonstrations. "
                        f"Ask for fewer shots, raise task.demonstrations, or give more rows."
                    )
                drawn.append(by_class[label].pop())
        return drawn[:shots]


def _content(row: Example) -> tuple[object, ...]:
    """What of a row the fingerprint hashes: its place, and all that a prompt may show of it."""
    split, number = row.row
    part = () if row.part is None else (row.part,)
    return (
        split if row.of_task is None else f"{row.of_task} {split}",
        number,
        *part,
        row.query,
        row.alone,
        row.answers,
        row.demonstration,
        row.gold,
    )
