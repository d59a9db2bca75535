"""What a study knows of its own rows: whose they are, how many examples they have, which trial they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from clipsweep.analysis.row.check_rows import Mask, Problem, find_problems, none_of
from clipsweep.analysis.row.row import clips_in
from clipsweep.analysis.store.blocks import indices_of
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.clips.identity import Identities
from clipsweep.trials.clips.resolve import fingerprint_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import PromptSet

T = TypeVar("T")
OWN = ("model_fingerprint", "dtype", "task_fingerprint")


class RowChecks:
    """Checks the rows of one study, table by table."""

    def __init__(self, opened: OpenStudy) -> None:
        """Take the study."""
        self._opened = opened
        subject = opened.subject
        facts = {name: subject.of(name) for name in opened.row_contexts}
        self._identities = {name: Identities(subject.card, each.task_fingerprint) for name, each in facts.items()}
        self._sizes = {name: each.split_sizes for name, each in facts.items()}
        self._fingerprints: dict[tuple[Clip, ...], Fingerprint | None] = {}

    def problems(self, table: Any) -> list[Problem]:
        """What is wrong with rows: in themselves, else as rows of this study."""
        found = find_problems(table)
        wrong = np.any([problem.rows for problem in found], axis=0) if found else np.zeros(len(table), bool)
        right = np.flatnonzero(~wrong)
        for problem in self._as_rows_of_study(table.take(indices_of(right)) if found else table):
            rows = np.zeros(len(table), bool)
            rows[right] = problem.rows
            found.append(Problem(what=problem.what, rows=rows))
        return [problem for problem in found if problem.rows.any()]

    def _as_rows_of_study(self, table: Any) -> Iterator[Problem]:
        contexts = self._opened.row_contexts.values()
        foreign = np.zeros(len(table), bool)
        for name in OWN:
            foreign |= none_of(table[name], {getattr(context, name) for context in contexts})
        if len(contexts) > 1:  # a row of one task alone may bear any name of it, as an older one does
            foreign |= none_of(table["task"], set(self._opened.row_contexts))
        yield Problem(what="another model or task than this study's", rows=foreign)
        yield Problem(what="a complete state and not all examples of the split", rows=~foreign & self._short(table))
        yield Problem(what="a trial_id that their columns do not give", rows=~foreign & self._misnamed(table))

    def _short(self, table: Any) -> Mask:
        """Rows of complete trials that have seen more or fewer examples than their split has."""
        complete = ~none_of(table["state"], {TrialState.COMPLETE.value})
        names = ("task", "split", "n_examples")
        told = zip(*(table[name].to_pylist() for name in names), strict=True)
        short = np.array([self._of(self._sizes, task).get(split) != count for task, split, count in told], dtype=bool)
        return np.asarray(complete & short)

    def _misnamed(self, table: Any) -> Mask:
        """Rows whose identity is not that of what they say they evaluated."""
        names = ("task", "shots", "demo_seed", "split", "trial_id")
        columns = (table[name].to_pylist() for name in names)
        rows = zip(clips_in(table["clips"]), *columns, strict=True)
        return np.array([self._identity(clips, *prompts) != trial_id for clips, *prompts, trial_id in rows], dtype=bool)

    def _identity(self, clips: tuple[Clip, ...], task: str, shots: int, demo_seed: int, split: str) -> str | None:
        """The identity of a trial; None where the model lacks what is clipped."""
        if clips not in self._fingerprints:
            self._fingerprints[clips] = self._fingerprint(clips)
        fingerprint = self._fingerprints[clips]
        prompts = PromptSet(shots=shots, demo_seed=demo_seed, split=split)
        return None if fingerprint is None else self._of(self._identities, task).of(prompts, fingerprint)

    @staticmethod
    def _of(by_task: Mapping[str, T], task: str) -> T:
        """What belongs to a task; of rows that are of another, or bear another name, what belongs to the first."""
        return by_task.get(task, next(iter(by_task.values())))

    def _fingerprint(self, clips: tuple[Clip, ...]) -> Fingerprint | None:
        try:
            return fingerprint_of(clips, self._opened.subject.card)
        except SpecError:
            return None
