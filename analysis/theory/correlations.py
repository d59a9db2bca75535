"""How well each quantity tells what trials gain: rank correlations with their intervals, and which tells it best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clipsweep.analysis.theory.changes import Changes
from clipsweep.analysis.theory.quantities import OF_GROUP, OF_NORMS, QUANTITIES, SIMPLEST, SPECTRUM
from clipsweep.analysis.theory.ranks import Floats
from clipsweep.analysis.theory.resample import Resampled, resample
from clipsweep.analysis.winners.interval import CONFIDENCE

Interval = tuple[float, float]
NO_INTERVAL = "–"


def interval_words(interval: Interval | None) -> str:
    """The ends of an interval: ``-0.55 to -0.02``; a dash for none."""
    return NO_INTERVAL if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation of a quantity with the gain of trials.

    Computed within each prompt set and averaged over prompt sets, weighted by their number of trials.

    Attributes:
        quantity: A key of ``QUANTITIES``.
        module: Whose trials alone; None for all.
        n_trials: That have the quantity.
        n_layers: That they clip.
        rho: From -1 to 1; None with fewer than four trials of a prompt set, or where it or the gain does not vary.
        by_layer: 95 % interval, whole layers being drawn; None with fewer than three layers, and of one module alone.
        by_example: 95 % interval, the examples of the split being drawn; None of one module alone.
        margin_rho: As ``rho``, with the change of the mean margin; None also where rows have no margins.
    """

    quantity: str
    module: str | None
    n_trials: int
    n_layers: int
    rho: float | None
    by_layer: Interval | None
    by_example: Interval | None
    margin_rho: float | None

    @property
    def says_something(self) -> bool:
        """Whether it has both intervals, and neither holds 0."""
        if self.rho is None or self.by_layer is None or self.by_example is None:
            return False
        return not any(low <= 0 <= high for low, high in (self.by_layer, self.by_example))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The theory's best quantity against the best of others, on the same trials and resamples.

    Which is best is chosen once, on all trials: intervals do not know of that choice. How many blocks changed does not
    compete, as that is the layer by another name. The theory says that trials whose norms fall gain, so a norm whose
    rank correlation is above 0 speaks for it only where none is below.

    Attributes:
        theory: The change of norms with the lowest rank correlation; where none is below 0 the one with the largest.
        rival: Of the other group the one with the largest absolute rank correlation.
        difference: Absolute rank correlation of the theory's less that of the rival.
        by_layer: Its 95 % interval, whole layers being drawn; None with fewer than three.
        by_example: The same, examples being drawn.
    """

    theory: str
    rival: str
    difference: float
    by_layer: Interval | None
    by_example: Interval | None

    @property
    def outcome(self) -> int:
        """1 where the theory does better by both intervals, -1 where it does worse, 0 where that is not shown."""
        if self.by_layer is None or self.by_example is None:
            return 0
        if min(self.by_layer[0], self.by_example[0]) > 0:
            return 1
        return -1 if max(self.by_layer[1], self.by_example[1]) < 0 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """How well quantities tell what trials gain.

    Attributes:
        correlations: Of all trials by quantity, then of those of each module, where there are several.
        against_simplest: The theory against the clip rate and the layer; None where one of them has no correlation.
        against_spectrum: The theory against what singular values say; None the same, and where they are not known.
    """

    correlations: tuple[Correlation, ...]
    against_simplest: Contest | None
    against_spectrum: Contest | None

    @property
    def of_all(self) -> list[Correlation]:
        """The correlations over all modules."""
        return [each for each in self.correlations if each.module is None]


def correlate(changes: Changes) -> Predictions:
    """Every quantity of trials against what they gained, with bootstrap intervals: seeded, percentile."""
    found = resample(changes)
    modules = changes.modules if len(changes.modules) > 1 else []
    correlations = _told(found, None)
    for module in modules:
        correlations += _told(resample(changes, module), module)
    return Predictions(
        correlations=tuple(correlations),
        against_simplest=_contest(found, SIMPLEST),
        against_spectrum=_contest(found, SPECTRUM),
    )


def _told(found: Mapping[str, Resampled], module: str | None) -> list[Correlation]:
    return [_correlation(name, module, found[name]) for name in QUANTITIES]


def _correlation(name: str, module: str | None, found: Resampled) -> Correlation:
    return Correlation(
        quantity=name,
        module=module,
        n_trials=found.n_trials,
        n_layers=found.n_layers,
        rho=_number(found.rho),
        by_layer=None if found.by_layer is None else interval_of(found.by_layer),
        by_example=None if found.by_example is None else interval_of(found.by_example),
        margin_rho=_number(found.margin_rho),
    )


def _number(rho: float) -> float | None:
    return None if math.isnan(rho) else rho


def _contest(found: Mapping[str, Resampled], group: str) -> Contest | None:
    """The theory against another group, of quantities that as many trials have."""
    most = max(each.n_trials for each in found.values())
    theory = _best(found, OF_NORMS, most, below_0=True) or _best(found, OF_NORMS, most)
    rival = _best(found, OF_GROUP[group], most)
    if theory is None or rival is None:
        return None
    one, other = found[theory], found[rival]
    return Contest(
        theory=theory,
        rival=rival,
        difference=abs(one.rho) - abs(other.rho),
        by_layer=_difference(one, other, one.by_layer, other.by_layer),
        by_example=_difference(one, other, one.by_example, other.by_example),
    )


def _best(found: Mapping[str, Resampled], names: Sequence[str], n_trials: int, *, below_0: bool = False) -> str | None:
    told = [name for name in names if found[name].n_trials == n_trials and not math.isnan(found[name].rho)]
    told = [name for name in told if found[name].rho < 0 or not below_0]
    return max(told, key=lambda name: abs(found[name].rho), default=None)


def _difference(one: Resampled, other: Resampled, of_one: Floats | None, of_other: Floats | None) -> Interval | None:
    """Interval of the difference of two correlations, each told in the direction that it has over all trials.

    The absolute values of resamples would fold those of a weak correlation upwards.
    """
    if of_one is None or of_other is None:
        return None
    return interval_of(np.sign(one.rho) * of_one - np.sign(other.rho) * of_other)


def interval_of(resampled: Floats) -> Interval:
    """Percentile interval over all resamples, those that do not vary among them, without NaN."""
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [outside, 1 - outside]).tolist()
    return low, high
