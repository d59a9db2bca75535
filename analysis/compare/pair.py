"""Two studies, point by point: where both have it, what each scores and how they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.compare.difference import Difference, measure_difference
from clipsweep.analysis.compare.facts import Facts, axes_of
from clipsweep.analysis.compare.side import Key, Side
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import mean_goodness, mean_score
from clipsweep.trials.scores.metrics import ACCURACY, METRICS
from clipsweep.trials.spec.clip import Clip

Rows = Mapping[str, StoredRow]


@dataclass(frozen=True, kw_only=True)
class PointPair:
    """A point that both studies have, complete.

    Attributes:
        shots: Demonstrations in the prompt.
        clips: What is clipped; nothing for the untouched model.
        scores: What each study scores there by the pair's metric, on validation.
        difference: In accuracy, or of text in nats per token.
        won: Whether it is the winner of the first, and of the second.
        same_trial: Whether it is one and the same trial in both.
        points: It in each study, with the study's rows.
    """

    shots: int
    clips: tuple[Clip, ...]
    scores: tuple[float, float]
    difference: Difference
    won: tuple[bool, bool]
    same_trial: bool
    points: tuple[tuple[Point, Rows], tuple[Point, Rows]]

    @property
    def gains(self) -> list[float | None]:
        """What each study gains there over its untouched model, as ``difference``; None while that is not complete."""
        return [_gain(*each) for each in self.points]

    @property
    def answers_differ(self) -> bool:
        """Whether an example was answered differently; examples that are not the same always count as such."""
        difference = self.difference
        return not difference.paired or bool((difference.first != difference.second).any())

    def document(self, *, with_interval: bool) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "shots": self.shots,
            "clips": [asdict(clip) for clip in self.clips],
            "scores": list(self.scores),
            "gains": self.gains,
            "difference": self.difference.document(with_interval=with_interval),
            "winner_of": list(self.won),
            "same_trial": self.same_trial,
        }


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two studies. Differences are those of the second from the first.

    Attributes:
        first: What the other is compared with.
        second: The other.
    """

    first: Side
    second: Side

    @property
    def same_rows(self) -> bool:
        """Whether both have the same rows in each split, with the same template, so that examples can be paired."""
        return bool(self.first.task_fingerprint == self.second.task_fingerprint)

    @property
    def metric(self) -> str:
        """What scores are compared by: what both are judged by, or accuracy where that differs."""
        return self.first.metric if self.first.metric == self.second.metric else ACCURACY

    @cached_property
    def in_common(self) -> list[Key]:
        """What both have rows of, in the order of the first."""
        return [key for key in self.first.points if key in self.second.points]

    @cached_property
    def points(self) -> list[PointPair]:
        """Points that both have complete: winners first, then those that differ most, in standard errors."""
        found = [each for key in self.in_common if (each := self._beside(key)) is not None]
        goodness = METRICS[self.metric].goodness
        return sorted(
            found, key=lambda each: (not any(each.won), -each.difference.weight, -max(map(goodness, each.scores)))
        )

    @property
    def clipped_in_common(self) -> bool:
        """Whether they have more in common than the untouched model."""
        return any(clips for _, clips in self.in_common)

    @cached_property
    def apart(self) -> list[str]:
        """Axes of the space in which they have no value in common, which is why they have no clip in common."""
        one, other = _axes(self.first), _axes(self.second)
        return [axis for axis, values in one.items() if not set(values) & set(other[axis])]

    @cached_property
    def winners(self) -> Difference | None:
        """The winner of the second beside that of the first: on test where both have run there, else on validation.

        None while one has no winner.
        """
        one, other = self.first.standings.winner, self.second.standings.winner
        if one is None or other is None:
            return None
        names = "test_ids" if one.test_scores and other.test_scores else "trial_ids"
        rows = [_rows(side, getattr(each.point, names)) for side, each in ((self.first, one), (self.second, other))]
        return measure_difference(*rows, same_rows=self.same_rows)

    @property
    def same_trials(self) -> list[PointPair]:
        """Points that are one and the same trial in both."""
        return [each for each in self.points if each.same_trial]

    @property
    def disagreeing(self) -> list[PointPair]:
        """Those of them that were yet answered differently."""
        return [each for each in self.same_trials if each.answers_differ]

    def _beside(self, key: Key) -> PointPair | None:
        """A point in both; None unless it is complete in both."""
        shots, clips = key
        one, other = self.first.points[key], self.second.points[key]
        scores = [
            mean_score(point.trial_ids, side.rows, self.metric)
            for side, point in ((self.first, one), (self.second, other))
        ]
        if scores[0] is None or scores[1] is None:
            return None
        rows = _rows(self.first, one.trial_ids), _rows(self.second, other.trial_ids)
        return PointPair(
            shots=shots,
            clips=clips,
            scores=(scores[0], scores[1]),
            difference=measure_difference(*rows, same_rows=self.same_rows),
            won=(key == self.first.winner_key, key == self.second.winner_key),
            same_trial=one.trial_ids == other.trial_ids,
            points=((one, self.first.rows), (other, self.second.rows)),
        )

    def document(self, top: int) -> dict[str, Any]:
        """As JSON has it; the intervals of the winners, and of the first ``top`` points."""
        winners = self.winners
        return {
            "first": self.first.name,
            "second": self.second.name,
            "metric": self.metric,
            "paired": self.same_rows,
            "winners": None if winners is None else winners.document(with_interval=True),
            "points_in_common": len(self.in_common),
            "points_only_in_first": len(self.first.points) - len(self.in_common),
            "points_only_in_second": len(self.second.points) - len(self.in_common),
            "no_clip_in_common_as_these_differ": [] if self.clipped_in_common else self.apart,
            "same_trials": len(self.same_trials),
            "same_trials_that_disagree": len(self.disagreeing),
            "points": [each.document(with_interval=number < top) for number, each in enumerate(self.points)],
        }


def _axes(side: Side) -> Facts:
    """What the points of a study have, axis by axis."""
    return {"shots": tuple(side.shots), **axes_of({clip for _, clips in side.points for clip in clips})}


def _rows(side: Side, trial_ids: Iterable[str]) -> list[StoredRow]:
    return [side.rows[trial_id] for trial_id in trial_ids]


def _gain(point: Point, rows: Rows) -> float | None:
    metric = METRICS[point.metric].gained
    score, untouched = (mean_goodness(ids, rows, metric) for ids in (point.trial_ids, point.baseline_ids))
    return None if score is None or untouched is None else score - untouched
