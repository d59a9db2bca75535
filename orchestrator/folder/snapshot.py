"""What is stored of a study, read once and handed around."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.analysis.winners.points_of_rows import Rules
from clipsweep.analysis.winners.standings import Standings
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import TEST, VALIDATION


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A study's stored rows at one moment, and what follows from them: found when it is first asked for, once.

    Attributes:
        opened: The study.
        history: Every stored attempt in the order they finished.
    """

    opened: OpenStudy
    history: Attempts

    @classmethod
    def take(cls, opened: OpenStudy) -> Snapshot:
        """Read what is stored now."""
        return cls(opened=opened, history=opened.history())

    @cached_property
    def rows(self) -> LatestRows:
        """The latest attempt at each trial."""
        return self.history.latest()

    @cached_property
    def standings(self) -> Standings:
        """Points that have rows, and who won."""
        return Standings(self.opened.points(self.rows), self.rows)

    @cached_property
    def rules(self) -> Rules:
        """How its points are judged: what rows alone do not tell of it."""
        space, opened = self.opened.space, self.opened
        can_win = {trial_id for point in self.standings.points if point.can_win for trial_id in point.trial_ids}
        of_points = can_win | opened.baselines(self.rows)
        splits = zip(self.rows, self.rows.column("split"), strict=True)
        return Rules(
            metric=space.metric,
            winner=space.winner,
            baseline_competes=space.baseline_competes or 0 in space.clip_rates,  # a rate of 0 is the untouched model
            demo_seeds=space.demo_seeds,
            shots=space.shots,
            modules=space.modules,
            kinds=tuple((name, options) for name, options in space.kinds),
            clip_rates=space.clip_rates,
            searched=opened.is_searched,
            outside=tuple(key for key, split in splits if split == VALIDATION and key not in of_points),
        )

    @cached_property
    def searched(self) -> set[str]:
        """Validation trials that stored rows call for: all seeds of the points that have rows, and the baselines."""
        points = self.standings.points
        called_for = {trial_id for point in points for trial_id in (*point.trial_ids, *point.baseline_ids)}
        return called_for | self.opened.baselines(self.rows)

    @cached_property
    def tested(self) -> set[str]:
        """Test trials that stored rows call for: those of the winners so far, and their baselines."""
        points = self.standings.winning_points if self.opened.subject.tested else []
        return {trial_id for point in points for trial_id in (*point.test_ids, *point.baseline_test_ids)}

    @cached_property
    def called_for(self) -> list[str]:
        """Trials that have rows and are called for, on validation and on test."""
        called_for = self.searched | self.tested
        return [trial_id for trial_id in self.rows if trial_id in called_for]

    def find(self, trial: str) -> StoredRow:
        """The latest attempt at the trial that an identity, or the beginning of one, names.

        Raises:
            StudyError: There is none, or several begin so.
        """
        found = [each for each in self.rows if trial and each.startswith(trial)]
        if len(found) == 1:
            return self.rows[found[0]]
        where = self.opened.folder
        if found:
            raise StudyError(f"{len(found)} trials of {where} begin with {trial!r}; expected one. Write more of it.")
        close = difflib.get_close_matches(trial, list(self.rows), n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise StudyError(
            f"no trial {trial!r} in {where}; expected a trial_id of 'clipsweep results {where} --json'.{meant}"
        )

    def count_states(self) -> dict[TrialState, int]:
        """How many of them are in each state, by their latest attempts."""
        found = Counter(map(self.rows.state, self.called_for))
        return {state: found[state] for state in TrialState}

    def count_rows_seen(self) -> int:
        """Rows of the task that they have seen."""
        called_for = set(self.called_for)
        seen = zip(self.rows, self.rows.column("n_examples"), strict=True)
        return sum(count for trial_id, count in seen if trial_id in called_for)

    def splits_called_for(self) -> list[str]:
        """The split of each of them."""
        return [VALIDATION if each in self.searched else TEST for each in self.called_for]

    @property
    def failed(self) -> list[StoredRow]:
        """Latest attempts of those of them that failed."""
        return [self.rows[each] for each in self.called_for if self.rows.state(each) is TrialState.FAILED]
