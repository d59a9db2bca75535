"""How many blocks' norms a clip changes, and by how much, beside what the paper says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from clipsweep.analysis.theory.changes import Changes, TrialChange
from clipsweep.analysis.theory.quantities import DELTA_W, Logs, has_changed
from clipsweep.trials.spec.modules import MLP_ROLES, MODULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far clips of one layer and module reach: what became of ``‖ΔW_t‖``, attention taken to be linear.

    Blocks that were not measured do not count, neither among those that changed nor among those that are expected.

    Attributes:
        layer: Of the clip, counted from 0.
        module: Of the clip.
        n_trials: Trials whose one clip is there.
        changed: Blocks whose norm changed by more than the share ``CHANGED``: the median over these trials.
        least: The fewest of a trial.
        most: The most.
        paper: ``L - k + 1`` of ``L`` blocks, the clip's layer being the ``k``-th, counted from 1 (Remark 5).
        expected: What a transformer with a residual stream can change: the clipped block and all behind it; of an MLP,
            which its own block's attention does not read, those behind it alone.
        before: Blocks in front of these that changed in some trial; 0 unless something is wrong.
        sizes: Median of the absolute change of the natural log of the norm, at the clip's block, at the next one and so
            on; None where it was not measured.
    """

    layer: int
    module: str
    n_trials: int
    changed: float
    least: int
    most: int
    paper: int
    expected: int
    before: int
    sizes: tuple[float | None, ...]


def reach_of(changes: Changes) -> tuple[Reach, ...]:
    """The reach of each clipped layer and module, of trials with one clip: by module, then by layer."""
    groups: dict[tuple[str, int], list[TrialChange]] = {}
    for trial in changes.trials:
        if len(trial.clips) == 1:
            groups.setdefault((trial.module, trial.layer), []).append(trial)
    return tuple(_reach(layer, module, trials) for (module, layer), trials in sorted(groups.items()))


def _reach(layer: int, module: str, trials: Sequence[TrialChange]) -> Reach:
    logs = [trial.logs[DELTA_W] for trial in trials]
    first = layer + 1 if set(MODULES[module]) <= set(MLP_ROLES) else layer
    counts = [_count(each[first:]) for each in logs]
    return Reach(
        layer=layer,
        module=module,
        n_trials=len(trials),
        changed=median(counts),
        least=min(counts),
        most=max(counts),
        paper=_measured(logs[0][layer:]),
        expected=_measured(logs[0][first:]),
        before=max(_count(each[:first]) for each in logs),
        sizes=tuple(_size(each[block] for each in logs) for block in range(layer, len(logs[0]))),
    )


def _count(logs: Logs) -> int:
    return sum(map(has_changed, logs))


def _measured(logs: Logs) -> int:
    return sum(change is not None for change in logs)


def _size(changes: Iterable[float | None]) -> float | None:
    sizes = [abs(change) for change in changes if change is not None and not math.isnan(change)]
    return median(sizes) if sizes else None
