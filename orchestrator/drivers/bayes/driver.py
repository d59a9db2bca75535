"""The Bayesian driver: Optuna's samplers over shots, layers, modules and clip rates, one or several clips at once.

It needs no study on disk: ``BayesDriver(space, search)`` searches any space in memory, told by whoever has the scores.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.smoothing import estimated_goodness, have_margins
from clipsweep.orchestrator.drivers.bayes.database import database_url
from clipsweep.orchestrator.drivers.bayes.encoding import Encoding
from clipsweep.orchestrator.drivers.bayes.optuna_study import (
    Direction,
    KnownTrial,
    OptunaStudy,
    SamplerSettings,
    Storage,
)
from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.warm_start import warm_rows
from clipsweep.orchestrator.space.choices import choices_of_rows, draw, enumerate_choices, vary
from clipsweep.orchestrator.space.proposal import Choice, Part, Proposal
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.spec.trial import TrialSpec

REPEATS = 1  # known points that may be suggested before a neighbour of the last is taken: each suggestion fits a model
NEIGHBOURS, DRAWS = 16, 64
DIRECTIONS: dict[str, Direction] = {"accuracy": "maximize", "parameters": "minimize"}
TOLD = "smoothed accuracy"  # a storage that holds other values is rebuilt
Values = tuple[float, ...]  # one for each objective


@dataclass(slots=True)
class _OpenPoint:
    """A point that waits for rows: its own, or those of the untouched model that it is compared with.

    Attributes:
        choice: What is clipped, and how many shots.
        number: Of the trial that Optuna runs for it; None for the untouched model and for points of an earlier run.
        rows: Those that are in, by task and demonstration seed.
    """

    choice: Choice
    number: int | None
    rows: dict[Part, StoredRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _StoredPoint:
    """A point of which all that is wanted is stored.

    Attributes:
        label: The identities of its trials.
        values: One for each objective; None where a trial failed.
        choice: What is clipped, and how many shots.
    """

    label: str
    values: Values | None
    choice: Choice


class BayesDriver(StudyDriver):
    """Baselines and openers first, then what the sampler suggests and is not known; ``search.n_trials`` at most."""

    adaptive = True

    def __init__(
        self,
        space: Space,
        search: SearchSection,
        rows: Mapping[str, StoredRow] | None = None,
        *,
        warm: Mapping[str, Mapping[str, StoredRow]] | None = None,
        storage: Storage = Storage(),  # noqa: B008  # frozen
        identify: Callable[[TrialSpec], str] | None = None,
    ) -> None:
        """Take what is known and open Optuna's study.

        Args:
            space: What is searched.
            search: The study's search section.
            rows: Of this study, by ``identify`` of their trials.
            warm: Rows of earlier studies, by their folder. The sampler learns from them; their trials are run anew.
            storage: Where Optuna keeps its trials; memory by default.
            identify: A trial's identity; by default its shots, seed and clips as they are.
        """
        self._space, self._search = space, search
        self._identify = identify or _describe
        self._encoding = Encoding(space)
        self._ready: deque[Proposal] = deque()
        rows, warm = rows or {}, warm or {}
        self._smoothed = _have_margins(rows, *warm.values())
        self._untouched = {shots: self._scored_rows(Choice(shots, ()), rows) for shots in space.shots}
        known, waiting = self._stored_points(self._answers(rows))
        self._known = {point.label: point.values for point in known}  # None where one failed
        self._open = {self._label(point.choice): point for point in waiting}
        trials = self._known_trials(known, warm)
        seed = _mix(search.seed, len(trials))
        self._rng = random.Random(seed)
        self._unlisted = enumerate_choices(space)
        self._exhausted = False
        self._study = self._open_study(storage, seed, trials)
        for shots in space.shots:
            self._start(Choice(shots, ()), None)
        begun = [choice for choice in choices_of_rows(space, rows) if choice.clips]
        self._left = math.inf if search.n_trials is None else search.n_trials - len(begun)
        self._again = self._unfinished(begun)

    @classmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> BayesDriver:
        """The driver of a study on disk."""
        subject, search, space = opened.subject, opened.study.search, opened.space
        fingerprints = subject.card.fingerprint, subject.first.task_fingerprint
        encoded = (Encoding(space).parameters, search.objectives, *fingerprints)
        place = () if search.storage is None else (str(opened.folder.path.resolve()),)
        several = (sorted(subject.fingerprints), space.members) if space.members else ()
        digest = hashlib.sha256(repr((*encoded, subject.card.dtype, TOLD, *place, *several)).encode()).hexdigest()[:8]
        return cls(
            space,
            search,
            rows,
            warm=warm_rows(opened.study),
            storage=Storage(
                journal=opened.folder.journal,
                url=None if search.storage is None else database_url(search.storage),
                name=f"{opened.study.name} {digest}",
            ),
            identify=subject.trial_id,
        )

    def ask(self, count: int) -> list[Proposal]:
        """Baselines, then points that the sampler suggests, a trial for each task and demonstration seed."""
        while len(self._ready) < count and self._more:
            self._next_point()
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Take a row; Optuna is told when those of all demonstration seeds are in, or one has failed."""
        choice = proposal.choice
        point = self._open.get(label := self._label(choice))
        if point is None:
            return
        point.rows[proposal.part] = row
        if choice.clips:
            self._tell_if_ended(label)
            return
        self._untouched[choice.shots] = {part: each for part, each in point.rows.items() if each.has_scores}
        for each in [label, *self._open]:
            self._tell_if_ended(each)

    def _tell_if_ended(self, label: str) -> None:
        """Tell Optuna of a point, unless more rows of it, or of the untouched model beside it, are to come."""
        point = self._open.get(label)
        if point is None or not self._ended(point) or self._awaits_untouched(point):
            return
        del self._open[label]
        values = self._known[label] = self._values(point.rows, self._untouched[point.choice.shots])
        if point.number is not None:
            self._study.tell(point.number, values)
        elif (known := self._known_trial(_StoredPoint(label, values, point.choice))) is not None:
            self._study.add(known)

    def _ended(self, point: _OpenPoint) -> bool:
        """Whether no more rows are to come: each trial has one, or one has failed, and then a race asks for no more."""
        return len(point.rows) == self._space.n_parts or not all(row.has_scores for row in point.rows.values())

    def _awaits_untouched(self, point: _OpenPoint) -> bool:
        """Whether a race stopped it, and the untouched model that its estimate is made beside is still running."""
        return _is_stopped(point.rows.values()) and self._label(Choice(point.choice.shots, ())) in self._open

    @property
    def done(self) -> bool:
        """Whether it will never ask for another trial."""
        return not self._ready and not self._more

    @property
    def owing(self) -> bool:
        """Whether trials of points that have begun, or points of an earlier run, are still to be asked for."""
        return bool(self._ready or self._again)

    @property
    def _more(self) -> bool:
        """Whether there is a point left to ask for."""
        return bool(self._again) or (self._left > 0 and not self._exhausted)

    def _next_point(self) -> None:
        """Start a point that is neither known nor under way, if one is left."""
        if self._again:
            choice = self._again.popleft()
            self._begin(choice)
            return
        if self.chooser is not None:
            self._begin_new(self.chooser(self._is_new))
            return
        opener = next(filter(self._is_new, self.openers), None)
        if opener is not None:
            self._begin_new(opener)
            return
        for _ in range(REPEATS):
            number, params = self._study.ask()
            choice = self._encoding.decode(params)
            label = self._label(choice)
            if label not in self._open and label not in self._known:
                self._left -= 1
                self._start(choice, number)
                return
            self._study.tell(number, self._known.get(label))
        self._begin_new(self._unseen(choice))

    def _begin_new(self, choice: Choice | None) -> None:
        """Start a point that the sampler did not suggest; None where there is none left."""
        if choice is None:
            self._exhausted = True
            return
        self._left -= 1
        self._begin(choice)

    def _unseen(self, near: Choice) -> Choice | None:
        """A new point: a neighbour, else a random one, else the first of the enumeration; None where all are known."""
        neighbours = (vary(self._space, near, self._rng) for _ in range(NEIGHBOURS))
        for choice in chain(neighbours, (draw(self._space, self._rng) for _ in range(DRAWS))):
            if self._is_new(choice):
                return choice
        return next((choice for choice in self._unlisted if self._is_new(choice)), None)

    def _is_new(self, choice: Choice) -> bool:
        label = self._label(choice)
        return label not in self._open and label not in self._known

    def _begin(self, choice: Choice) -> None:
        """Start a point that the sampler did not suggest."""
        params = self._encoding.encode(choice)
        assert params is not None, "only baselines may have no parameters"
        self._start(choice, self._study.start(params))

    def _start(self, choice: Choice, number: int | None) -> None:
        label = self._label(choice)
        self._open[label] = _OpenPoint(choice, number)
        if number is not None:
            self._study.name(number, label)
        self._ready.extend(self._space.proposals_of(choice))

    def _answers(self, rows: Mapping[str, StoredRow]) -> Mapping[str, StoredRow]:
        """The stored rows that need no other: without a race, a trial that one has stopped goes on to its end."""
        if self._search.race:
            return rows
        return {trial: row for trial, row in rows.items() if not _is_stopped([row])}

    def _stored_points(self, rows: Mapping[str, StoredRow]) -> tuple[list[_StoredPoint], list[_OpenPoint]]:
        """Points whose every seed has a row with scores.

        Returns:
            Those that Optuna can be told, and those that a race stopped before the untouched model was complete.
        """
        known, waiting = [], []
        for choice in choices_of_rows(self._space, rows):
            scored = self._scored_rows(choice, rows)
            if len(scored) < self._space.n_parts:
                continue
            untouched = self._scored_rows(Choice(choice.shots, ()), rows)
            if choice.clips and _is_stopped(scored.values()) and not self._is_complete(untouched.values()):
                waiting.append(_OpenPoint(choice, None, scored))
            elif choice.clips or self._is_complete(scored.values()):
                known.append(_StoredPoint(self._label(choice), self._values(scored, untouched), choice))
        return known, waiting

    def _known_trials(
        self, points: Iterable[_StoredPoint], warm: Mapping[str, Mapping[str, StoredRow]]
    ) -> list[KnownTrial]:
        """What Optuna is told before it is asked: this study's stored points, then those of earlier studies."""
        known = [self._known_trial(point) for point in points]
        for folder, rows in warm.items():
            earlier, _ = self._stored_points(rows)
            known += [self._known_trial(point, folder) for point in earlier]
        return [trial for trial in known if trial is not None]

    def _known_trial(self, point: _StoredPoint, source: str = "study") -> KnownTrial | None:
        """A point as Optuna may be told it; None where it failed, or has no parameters."""
        params = self._encoding.encode(point.choice)
        if params is None or point.values is None:
            return None
        return KnownTrial(label=point.label, params=params, values=point.values, source=source)

    def _open_study(self, storage: Storage, seed: int, trials: Sequence[KnownTrial]) -> OptunaStudy:
        """Open Optuna's study, or make it, with all that is known."""
        search = self._search
        sampler = SamplerSettings(
            name=search.sampler, seed=seed, budget=search.n_trials, joint=self._space.max_clips > 1
        )
        directions = [DIRECTIONS[objective] for objective in search.objectives]
        return OptunaStudy(storage, self._encoding.parameters, directions, sampler, trials)

    def _unfinished(self, begun: Sequence[Choice]) -> deque[Choice]:
        """What an earlier run left over: points of failed or missing trials, and those it had only asked Optuna for.

        They are asked for first, each once. Those of ``begun`` are counted in the number of trials already.
        """
        counted = {self._label(choice) for choice in begun}
        again = {self._label(choice): choice for choice in begun if self._is_new(choice)}
        for params in self._study.abandoned:
            choice = self._encoding.decode(params)
            label = self._label(choice)
            if self._is_new(choice) and label not in again:
                again[label] = choice
                self._left -= label not in counted
        return deque(again.values())

    def _is_complete(self, rows: Iterable[StoredRow]) -> bool:
        """Whether all seeds have seen all rows."""
        return len([row for row in rows if row.is_complete]) == self._space.n_parts

    def _scored_rows(self, choice: Choice, rows: Mapping[str, StoredRow]) -> dict[Part, StoredRow]:
        """The rows of a choice's trials that have scores, by task and demonstration seed."""
        trials = {each.part: self._identify(each.spec) for each in self._space.proposals_of(choice)}
        return {part: rows[trial] for part, trial in trials.items() if trial in rows and rows[trial].has_scores}

    def _values(self, rows: Mapping[Part, StoredRow], untouched: Mapping[Part, StoredRow]) -> Values | None:
        """Means over tasks by their shares and over seeds, one for each objective; None where a trial failed."""
        if not all(row.has_scores for row in rows.values()):
            return None
        counting = {part: weight for part in rows if (weight := self._space.weight_of(part))}
        pairs = [(rows[part], untouched.get(part)) for part in counting]

        def mean(objective: str) -> float:
            values = [self._value(objective, row, beside) for row, beside in pairs]
            return fmean(values, counting.values()) if self._space.members else fmean(values)

        return tuple(map(mean, self._search.objectives))

    def _value(self, objective: str, row: StoredRow, untouched: StoredRow | None) -> float:
        """What the sampler is told of a row, to be maximised: the score, turned so that more is better.

        Accuracy, or the likelihood of text, by which every race is run, is estimated for all examples.
        """
        if objective == "parameters":
            return float(row.parameters_kept)
        if METRICS[self._space.metric].tells_gains or self._search.race is not None:
            return estimated_goodness(row, untouched, smoothed=self._smoothed)
        return row.goodness(self._space.metric)

    def _label(self, choice: Choice) -> str:
        """The identities of its trials: the same for choices that leave the same ranks."""
        return ",".join(dict.fromkeys(self._identify(each.spec) for each in self._space.proposals_of(choice)))


def _have_margins(*studies: Mapping[str, StoredRow]) -> bool:
    """Whether every row with scores of these studies has margins, so that all can be compared by smoothed accuracy."""
    rows = chain.from_iterable(rows.values() for rows in studies)
    return have_margins(row for row in rows if row.has_scores)


def _is_stopped(rows: Iterable[StoredRow]) -> bool:
    """Whether a race stopped one of a point's trials."""
    return any(row.is_cut_short for row in rows)


def _describe(spec: TrialSpec) -> str:
    clips = sorted((clip.layer, clip.module, clip.clip_rate, *_special(clip)) for clip in spec.clips if clip.clip_rate)
    return repr((spec.task, spec.shots, spec.demo_seed if spec.shots else None, clips))


def _special(clip: Clip) -> tuple[str, ...]:
    """The kind of a clip, where it is not the usual one."""
    return () if clip.kind == DEFAULT_KIND else (clip.of_kind.words,)


def _mix(seed: int, told: int) -> int:
    """A seed of its own for each number of trials told, so that a resumed sampler does not replay its first draws."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{told}".encode()).digest()[:4]) >> 1
