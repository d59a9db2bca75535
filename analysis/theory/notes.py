"""What should be known beside the theory's answer: what was left out, and what measuring cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clipsweep.analysis.theory.changes import Changes
from clipsweep.analysis.theory.quantities import LEAST_LAYERS, LEAST_TRIALS
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import ACCURACY

# From which on intervals by layer leave out 0 nearly as often as they should (tests/benchmarks/theory_intervals.py).
MANY_LAYERS = 12


def notes_of(
    changes: Changes, metric: str, *, has_spectra: bool, so_far: Iterable[str] = (), searched: bool = False
) -> Iterator[str]:
    """What was left out or is told otherwise, a sentence each without its full stop.

    Args:
        changes: Of a study.
        metric: That it is judged by.
        has_spectra: Whether singular values were measured.
        so_far: That the study has not come to its end, in words.
        searched: Whether results chose the points.
    """
    yield from so_far
    if searched:
        yield "a search chose these points by what they gain: all points of its space may be ordered otherwise"
    if metric != ACCURACY:
        yield f"gains are told in accuracy, though the study is judged by {metric}"
    if len({trial.prompts.task for trial in changes.trials}) > 1:
        yield "tasks count by their trials, whatever their weights"
    yield from _counts(changes)
    still = sum(trial.gain == 0 for trial in changes.trials)
    if 2 * still > len(changes.trials):
        yield f"{still} of {len(changes.trials)} gains are 0, so that few trials decide the correlations"
    layers = len({trial.layer for trial in changes.trials})
    if layers < LEAST_LAYERS:
        found = counted(layers, "layer")
        yield f"{found} alone: what holds for others cannot be told from fewer than {LEAST_LAYERS}"
    elif layers < MANY_LAYERS:
        yield f"{layers} layers are few: intervals by layer are too narrow, and leave out 0 too often"
    if not has_spectra:
        yield (
            "singular values are not measured yet, so that condition number and the like are not told; a run measures "
            "them at its end"
        )


def _counts(changes: Changes) -> Iterator[str]:
    """Trials that are left out, or count for less."""
    told = {
        "left out, as no demonstrations are in the prompt": changes.without_demonstrations,
        "left out, as they were not measured": changes.unmeasured,
        "left out, as the untouched model was not measured on their prompts": changes.alone,
        f"not ranked, as fewer than {LEAST_TRIALS} are on the same prompts": changes.in_small_sets,
        "saw the first rows alone, as a race stopped them, so that their gains are less sure": changes.cut_short,
    }
    yield from (f"{counted(count, 'clipped trial')} {what}" for what, count in told.items() if count)


def cost_of(changes: Changes) -> str:
    """What measuring took beside what the trials took; empty where that is not known."""
    if changes.cost_share is None:
        return ""
    spent, of = changes.theory_seconds, changes.seconds
    return (
        f"measuring took {spent:,.3g} seconds, as much as {100 * changes.cost_share:.1f} % of the trials' {of:,.4g}; "
        f"where it was done afterwards it comes on top"
    )
