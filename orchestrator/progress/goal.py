"""What a run is after: what it counts, how much there is to do, and when it must stop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.ahead import Ahead, look_ahead
from clipsweep.orchestrator.plan.relative_work import amount_ahead, amount_on_test
from clipsweep.orchestrator.progress.left import Field, Left, ListedLeft, RacedLeft, SampledLeft
from clipsweep.orchestrator.study.names import HALVING, NEIGHBOURS
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import VALIDATION

SECONDS_OF_AN_HOUR = 3600.0


class Pace(StrEnum):
    """What a run counts.

    ``TRIALS`` of a known number; ``TRIALS_SO_FAR`` where a search stops when it has seen enough; ``ROWS`` of a race,
    whose trials run in parts and may be stopped after any of them.
    """

    TRIALS = "trials"
    TRIALS_SO_FAR = "trials so far"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a run is after.

    Attributes:
        pace: What is counted.
        known: Trials that need not run.
        trials: Those that must, as far as is known.
        left: What they will cost.
        limit_s: Most seconds that the search may take; None for any.
    """

    pace: Pace
    known: int
    trials: int
    left: Left
    limit_s: float | None = None


def goal_of(opened: OpenStudy, ledger: Ledger) -> Goal:
    """What a run of a study is after.

    Args:
        opened: The study, its layers known or not.
        ledger: What is stored of it.
    """
    search, ahead = opened.study.search, look_ahead(opened, ledger)
    pace = Pace.ROWS if search.race else Pace.TRIALS if _is_counted(opened) else Pace.TRIALS_SO_FAR
    return Goal(
        pace=pace,
        known=ahead.known,
        trials=sum(ahead.missing.values()),
        left=left_of(opened, ahead, ledger),
        limit_s=None if search.max_hours is None else SECONDS_OF_AN_HOUR * search.max_hours,
    )


def _is_counted(opened: OpenStudy) -> bool:
    """Whether it is known how many trials will run, a race aside."""
    if opened.is_composed:
        return opened.study.search.max_clips is None
    return not opened.is_searched or opened.study.search.n_trials is not None


def left_of(opened: OpenStudy, ahead: Ahead, ledger: Ledger) -> Left:
    """What a study has left.

    Args:
        opened: The study, its layers known or not.
        ahead: The trials to come.
        ledger: What is stored of it.
    """
    search, left, tests = opened.study.search, amount_ahead(opened, ahead), amount_on_test(opened, ahead)
    counted = _is_counted(opened)
    n_seeds = len(opened.space.demo_seeds)
    if search.race is not None:
        field = Field(
            rungs=make_rungs(opened.subject.first.split_sizes[VALIDATION]),
            trials=ahead.total if counted else None,
            baselines=len(opened.space.untouched()) * n_seeds,
            finishers=len(opened.space.shots) * n_seeds * (1 if opened.is_searched else len(opened.space.modules)),
            halves=search.race in {HALVING, NEIGHBOURS},
        )
        return RacedLeft(field, ledger.rows.values(), left, tests)
    if opened.is_searched and not (opened.is_composed and counted):
        return SampledLeft(left, tests, counted=counted)
    return ListedLeft(left, tests)
