"""What should be known beside the theory's answer: what was left out, and what measuring cost."""

from __future__ import annotations

from collections.abc import Iterator

from clipsweep.analysis.theory.resample import LEAST_LAYERS
from clipsweep.analysis.theory.theory import Theory
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import ACCURACY

# From which on intervals by layer leave out 0 nearly as often as they should (tests/benchmarks/theory_intervals.py).
MANY_LAYERS = 12


def notes_of(theory: Theory) -> Iterator[str]:
    """What was left out or is told otherwise, a sentence each without its full stop."""
    changes = theory.changes
    if theory.metric != ACCURACY:
        yield f"gains are told in accuracy, though the study is judged by {theory.metric}"
    if changes.unmeasured:
        yield f"{counted(changes.unmeasured, 'clipped trial')} left out, as they were not measured"
    if changes.alone:
        yield f"{counted(changes.alone, 'trial')} left out, as the untouched model was not measured on their prompts"
    layers = len({trial.layer for trial in changes.trials})
    if LEAST_LAYERS <= layers < MANY_LAYERS:
        yield f"{layers} layers are few: intervals by layer are too narrow, and leave out 0 too often"
    if not theory.has_spectra:
        yield "singular values were not measured, so that condition number and the like are not told"


def cost_of(theory: Theory) -> str:
    """How much of the trials' time measuring took; empty where that is not known."""
    if theory.cost_share is None:
        return ""
    spent, of = theory.changes.theory_seconds, theory.changes.seconds
    return f"measuring took {100 * theory.cost_share:.1f} % of the trials' time ({spent:,.3g} of {of:,.4g} seconds)"
