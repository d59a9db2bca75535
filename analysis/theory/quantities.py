"""The numbers of a trial that may tell what it gains: those of the theory, and simpler ones beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipsweep.trials.spec.clip import Clip

THEORY, SPECTRUM, SIMPLEST = "theory", "spectrum", "simplest"  # groups of quantities
DELTA_W, SOFTMAX, GRADIENT = "delta_w", "delta_w_softmax", "implicit_gradient"  # norms, as ``ImplicitNorms`` has them
NORMS = (DELTA_W, SOFTMAX, GRADIENT)
CHANGED = 1e-3  # relative change of a norm from which on a block counts as changed: 0.1 %
LEAST_TRIALS, LEAST_LAYERS = 4, 3  # on the same prompts for a rank correlation, and for its interval by layer
Logs = tuple[float | None, ...]  # a value for each block


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that each trial has.

    Attributes:
        name: Its key in ``TrialChange.quantities``.
        group: ``THEORY``, ``SPECTRUM`` (of the clipped matrices before the clip) or ``SIMPLEST``.
        label: In a table.
        means: As a sentence.
    """

    name: str
    group: str
    label: str
    means: str


_SHOWN = {DELTA_W: "log‖ΔW_t‖", SOFTMAX: "log‖ΔW_t‖ (softmax)", GRADIENT: "log‖G_t‖"}
_NORM_MEANS = {
    DELTA_W: "of the natural log of the norm of ΔW_t, attention taken to be linear",
    SOFTMAX: "of the natural log of the norm of ΔW_t, in the feature space of the softmax kernel",
    GRADIENT: "of the natural log of the norm of the implicit gradient G_t, attention taken to be linear",
}
_BEFORE = "the largest among the clipped matrices, as they are before the clip, unless the study says otherwise"
_ALL = (
    *(
        Quantity(
            name=f"sum_{norm}",
            group=THEORY,
            label=f"Σ change of {_SHOWN[norm]}",
            means=f"Sum over the blocks of the change {_NORM_MEANS[norm]}.",
        )
        for norm in NORMS
    ),
    *(
        Quantity(
            name=f"last_{norm}",
            group=THEORY,
            label=f"last change of {_SHOWN[norm]}",
            means=f"Change, at the last block that was measured, {_NORM_MEANS[norm]}.",
        )
        for norm in NORMS
    ),
    Quantity(
        name="blocks_changed",
        group=THEORY,
        label="blocks changed",
        means="Blocks whose norm of ΔW_t changed, attention taken to be linear.",
    ),
    Quantity(
        name="condition_number",
        group=SPECTRUM,
        label="condition number",
        means=f"Largest singular value over the smallest: {_BEFORE}.",
    ),
    Quantity(
        name="stable_rank",
        group=SPECTRUM,
        label="stable rank",
        means=f"Sum of the squared singular values over the largest squared: {_BEFORE}.",
    ),
    Quantity(
        name="spectral_norm", group=SPECTRUM, label="spectral norm", means=f"The largest singular value: {_BEFORE}."
    ),
    Quantity(
        name="signal_ratio",
        group=SPECTRUM,
        label="signal ratio",
        means=f"Sum of the singular values above the Marchenko-Pastur edge over the sum of the others: {_BEFORE}.",
    ),
    Quantity(
        name="share_removed",
        group=SPECTRUM,
        label="share removed",
        means="Share of the squared singular values that the clip removes: the largest among the clipped matrices, "
        "unless the study says otherwise; of kind svd alone.",
    ),
    Quantity(name="clip_rate", group=SIMPLEST, label="clip rate", means="Of several clips the mean."),
    Quantity(name="layer", group=SIMPLEST, label="layer", means="Counted from 0; of several clips the shallowest."),
)
QUANTITIES: dict[str, Quantity] = {each.name: each for each in _ALL}
MAIN = f"sum_{GRADIENT}"  # what Theorem 2 grows with, in the form that its proof has (Lemma 6)
OF_NORMS = tuple(f"{what}_{norm}" for what in ("sum", "last") for norm in NORMS)  # the theory's, but for reach
OF_GROUP = {group: tuple(each.name for each in _ALL if each.group == group) for group in (THEORY, SPECTRUM, SIMPLEST)}


def quantities_of(
    logs: Mapping[str, Logs], clips: Sequence[Clip], of_matrices: Mapping[str, float | None]
) -> dict[str, float | None]:
    """All quantities of a trial by name; None for what was not measured.

    Args:
        logs: By ``NORMS`` the change of the log of that norm, block by block; None for a block that was not measured.
        clips: Of the trial, those that change anything.
        of_matrices: The quantities of the group ``SPECTRUM``.
    """
    rates = [clip.told_rate for clip in clips if clip.told_rate is not None]
    return {
        **{f"sum_{name}": _sum(logs[name]) for name in NORMS},
        **{f"last_{name}": _last(logs[name]) for name in NORMS},
        "blocks_changed": _count_changed(logs[DELTA_W]),
        **of_matrices,
        "clip_rate": sum(rates) / len(rates) if rates else None,
        "layer": float(min(clip.layer for clip in clips)),
    }


def log_change(after: float | None, before: float | None) -> float | None:
    """Change of a logarithm; of a zero matrix that stays zero it is 0. None where one of them was not measured."""
    if after is None or before is None:
        return None
    return 0.0 if after == before else after - before


def has_changed(change: float | None) -> bool:
    """Whether a norm changed by more than the share ``CHANGED``."""
    return change is not None and abs(math.expm1(min(change, 1.0))) > CHANGED


def _measured(changes: Logs) -> list[float]:
    return [change for change in changes if change is not None]


def _sum(changes: Logs) -> float | None:
    """Over the blocks that were measured; None where there is none, and where infinities cancel."""
    total = sum(_measured(changes))
    return None if not _measured(changes) or math.isnan(total) else total


def _last(changes: Logs) -> float | None:
    measured = _measured(changes)
    return measured[-1] if measured else None


def _count_changed(changes: Logs) -> float | None:
    return float(sum(map(has_changed, changes))) if _measured(changes) else None
