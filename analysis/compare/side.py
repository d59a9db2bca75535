"""A study as it is compared: what it is about, what it cost, and its points by what they clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.compare.facts import Facts, facts_of_rows
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip

Key = tuple[int, tuple[Clip, ...]]  # shots, and what is clipped, in one order


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a study took so far.

    Attributes:
        trials: That have scores, on all rows of their split or on some.
        rows: Of the task that they were evaluated on; a row counts for each of them.
        operations: Floating-point operations, by the cost model.
        seconds: Wall time of the evaluations, summed over replicas.
    """

    trials: int
    rows: int
    operations: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the studies.

    Attributes:
        name: What tells it from the others.
        dir: Its folder.
        standings: Its points and winners.
        rows: Latest attempt at each trial.
        n_layers: Decoder blocks of its model.
        settings: How it was searched, by the keys of a study file.
    """

    name: str
    dir: str
    standings: Standings
    rows: LatestRows
    n_layers: int
    settings: Mapping[str, str]

    @cached_property
    def facts(self) -> Facts:
        """What it is about, and how it was run."""
        facts = facts_of_rows(self.rows, self.metric)
        return facts | {"model_layers": (self.n_layers,)} | {name: (value,) for name, value in self.settings.items()}

    @property
    def metric(self) -> str:
        """Column of scores that its points are judged by."""
        return self.standings.points[0].metric if self.standings.points else "accuracy"

    @cached_property
    def winner_key(self) -> Key | None:
        """What its winner is told by; None while there is none."""
        winner = self.standings.winner
        return None if winner is None else key_of(winner.point.shots, winner.point.clips)

    @property
    def task(self) -> str:
        """Name of its task."""
        return str(self.facts["task"][0])

    @property
    def shots(self) -> list[int]:
        """Numbers of demonstrations of its points."""
        return sorted({shots for shots, _ in self.points})

    @property
    def task_fingerprint(self) -> Any:
        """Tells the rows of each split in their order, the template and the label words."""
        return self.facts["task_fingerprint"]

    @property
    def has_idle_points(self) -> bool:
        """Whether some of its points have clips, all of which leave the weights as they are."""
        return any(point.clips and all(clip.is_idle for clip in point.clips) for point in self.standings.points)

    @cached_property
    def cost(self) -> Cost:
        """What it took so far."""
        trials = rows = operations = 0
        seconds = 0.0
        for state, n_examples, each, taken in self.rows.values_of(["state", "n_examples", "operations", "seconds"]):
            trials += state.has_scores
            rows += n_examples
            operations += each
            seconds += taken
        return Cost(trials=trials, rows=rows, operations=operations, seconds=seconds)

    @cached_property
    def points(self) -> dict[Key, Point]:
        """Its points that have rows by what they clip; the untouched model is there at each number of shots.

        A point that leaves the weights as they are, as at rate 0, is the untouched model.
        """
        found: dict[Key, Point] = {}
        for point in self.standings.points:
            found.setdefault(key_of(point.shots, point.clips), point)
        for point in self.standings.points:
            found.setdefault((point.shots, ()), _untouched(point))
        return {key: point for key, point in found.items() if self.standings.has_rows(point)}


def key_of(shots: int, clips: Iterable[Clip]) -> Key:
    """What a point is told by among those of other studies: clips that change something, in one order."""
    acting = [clip for clip in clips if not clip.is_idle]
    return shots, tuple(sorted(acting, key=_order) if len(acting) > 1 else acting)


def _order(clip: Clip) -> tuple[int, str, float, str, str]:
    return clip.layer, clip.module, clip.clip_rate, clip.kind, clip.options or ""


def _untouched(point: Point) -> Point:
    """The baseline of a point as a point: it is none of the study's where it cannot win."""
    return Point(
        clips=(),
        shots=point.shots,
        trial_ids=point.baseline_ids,
        baseline_ids=point.baseline_ids,
        metric=point.metric,
        can_win=False,
    )
