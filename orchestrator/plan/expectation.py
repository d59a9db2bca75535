"""What a search is expected to find: the share of the gain, with the hours, at three budgets.

An expectation, no promise: it is what searches of the same kind found on small surfaces that were evaluated in full
(``replayed.py``), and costs the study's own operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from clipsweep.analysis.store.rows import Attempts
from clipsweep.orchestrator.drivers.race.halving import halving_share
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.ahead import Ahead, look_ahead
from clipsweep.orchestrator.plan.replayed import Curve, Found, curves_of, kind_of_search, read_replayed
from clipsweep.orchestrator.plan.unlike import count_points, describe_unlike
from clipsweep.orchestrator.study.names import BAYES, HALVING
from clipsweep.trials.spec.trial import VALIDATION

USUAL_TRIALS = 50  # of a search whose study sets no number

CostOf = Callable[[Ahead, float], tuple[float, float]]


def expect(opened: OpenStudy, cost_of: CostOf) -> dict[str, Any] | None:
    """What the study's search is expected to find and to cost, all of it, whatever is stored already.

    Args:
        opened: The study.
        cost_of: Operations and hours of what is ahead, if only a share of its operations on validation is run.

    Returns:
        ``surfaces`` (names of those that such a search was replayed on, joint ones for a joint search; empty where
        none was), ``budgets`` (see ``_budget``) and ``unlike`` (how the study differs from what was replayed, in
        words). None where nothing is to be expected: what visits its points on all rows finds what is among them.
    """
    search = opened.study.search
    if search.driver != BAYES and search.race is None:
        return None
    curves = [] if opened.two_objectives else _curves_like(opened)
    fresh = Ledger(opened, Attempts.none().latest())
    told = n_trials_told(opened) if curves else []
    return {
        "surfaces": [curve.surface.surface for curve in curves],
        "budgets": [_budget(opened, fresh, n_trials, curves, cost_of) for n_trials in told],
        "unlike": describe_unlike(opened, [curve.surface for curve in curves]) if curves else [],
    }


def _curves_like(opened: OpenStudy) -> list[Curve]:
    """What searches of the study's kind found: on joint surfaces where it clips several sites at once."""
    curves, joint = curves_of(kind_of_search(opened.study.search), read_replayed()), opened.space.max_clips > 1
    return [curve for curve in curves if (curve.surface.max_clips > 1) == joint]


def n_trials_told(opened: OpenStudy) -> list[int]:
    """Numbers of trials that are told: half of those planned, those, and twice as many.

    Where the space has not twice as many points, those planned are the last. Where none are planned, they are all
    points of a space that is visited, and ``USUAL_TRIALS`` of one that is searched.
    """
    all_points = count_points(opened)
    planned = opened.study.search.n_trials or (USUAL_TRIALS if opened.is_searched else None) or all_points or 1
    last = 2 * planned
    if all_points is not None and last > all_points:
        last = min(planned, all_points)
    return sorted({max(1, last // 4), max(1, last // 2), last})


def _budget(
    opened: OpenStudy, fresh: Ledger, n_trials: int, curves: Sequence[Curve], cost_of: CostOf
) -> dict[str, Any]:
    """What so many trials cost, and what share of the gain they are expected to find.

    Returns:
        ``n_trials`` (as a study file sets it), ``trials`` (on validation, demonstration seeds and untouched models
        counted), ``rows`` (evaluated in them), ``operations`` and ``hours`` (of the whole command), ``share_of_gain``
        and ``share_of_gain_unlucky`` (what nine seeds in ten reach), each on the surface in the ``median`` and on the
        ``lowest``, and ``replayed``: whether searches as long were.
    """
    search = opened.study.search.model_copy(update={"n_trials": n_trials})
    ahead = look_ahead(replace(opened, study=opened.study.model_copy(update={"search": search})), fresh)
    n_points, n_rows = count_points(opened) or n_trials, opened.subject.first.split_sizes[VALIDATION]
    found = [curve.at(n_trials, n_points) for curve in curves]
    rows_share, operations_share = _cost_shares(opened, found, curves[0].surface.rows)
    operations, hours = cost_of(ahead, operations_share)
    return {
        "n_trials": n_trials,
        "trials": ahead.total,
        "rows": round(rows_share * ahead.total * n_rows),
        "operations": operations,
        "hours": hours,
        "share_of_gain": _over_surfaces([each.median for each in found]),
        "share_of_gain_unlucky": _over_surfaces([each.unlucky for each in found]),
        "replayed": all(curve.reaches(n_trials, n_points) for curve in curves),
    }


def _cost_shares(opened: OpenStudy, found: Sequence[Found], rows_replayed: int) -> tuple[float, float]:
    """Shares of the rows and of the operations of all trials that are run; halving leaves more of few rows."""
    n_rows = opened.subject.first.split_sizes[VALIDATION]
    halved = opened.study.search.race == HALVING
    scale = halving_share(n_rows) / halving_share(rows_replayed) if halved else 1.0
    rows, operations = (
        median(values) for values in ([each.rows_share for each in found], [each.operations_share for each in found])
    )
    return min(1.0, scale * rows), min(1.0, scale * operations)


def _over_surfaces(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "lowest": min(values)}
