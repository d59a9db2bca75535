"""A study that is made up and measured the paper's theory: what clips change, and what they gain, is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.row import SCHEMA, Record, clip_record
from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.analysis.theory.theory import Theory, measure_theory
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.implicit import ImplicitNorms
from tests.analysis.store.rows import stored_record
from tests.analysis.winners.points import make_point

BLOCKS, RATES, EXAMPLES = 4, (0.25, 0.5, 0.75), 40
Logs = tuple[float | None, ...]  # a value for each block
SECONDS, THEORY_SECONDS = 0.5, 0.025  # of each trial


def theory_points(n_layers: int = BLOCKS, rates: Sequence[float] = RATES) -> list[Point]:
    """The untouched model, and each layer's attn and mlp at each rate."""
    sites = [(layer, module) for module in ("attn", "mlp") for layer in range(n_layers)]
    return [make_point(None), *(make_point(layer, rate, module=module) for layer, module in sites for rate in rates)]


def theory_rows(
    points: Sequence[Point],
    *,
    n_blocks: int = BLOCKS,
    measured: bool = True,
    changes: Mapping[str, Logs] | None = None,
) -> LatestRows:
    """A row for each point: a clip changes norms from its block on, of an MLP from the next one.

    The untouched model answers 20 of 40 examples rightly; a clip as many more as ten times its rate and its layer.

    Args:
        points: Of the study, with one trial each.
        n_blocks: Of the model.
        measured: Whether the study asked for the theory.
        changes: By trial the logs of ``ΔW_t`` that it has instead.
    """
    records = []
    for point in points:
        norms = norms_of(point, n_blocks)
        if changes is not None and point.trial_ids[0] in changes:
            norms = replace(norms, delta_w=changes[point.trial_ids[0]])
        records.append(_record(point, norms if measured else None))
    return Attempts.of(make_table(records, SCHEMA)).latest()


def norms_of(point: Point, n_blocks: int = BLOCKS) -> ImplicitNorms:
    """What a trial of the point is made to measure."""
    changes = [_change(point, block) for block in range(n_blocks)]
    return ImplicitNorms(
        delta_w=tuple(1.0 + 0.5 * block + change for block, change in enumerate(changes)),
        delta_w_softmax=tuple(0.5 + 0.25 * block + change / 2 for block, change in enumerate(changes)),
        implicit_gradient=tuple(1.5 + 0.75 * block - change for block, change in enumerate(changes)),
        seconds=THEORY_SECONDS,
    )


def _change(point: Point, block: int) -> float:
    if not point.clips:
        return 0.0
    (clip,) = point.clips
    first = clip.layer + (clip.module == "mlp")
    return -clip.clip_rate * (1 + clip.layer) / (1 + block - first) if block >= first else 0.0


def _record(point: Point, implicit: ImplicitNorms | None) -> Record:
    right = 20 + sum(round(10 * clip.clip_rate) + clip.layer for clip in point.clips)
    clips = [clip_record(clip) for clip in point.clips]
    none: dict[str, Any] = {"layer": None, "module": None, "clip_rate": None}
    where = {key: (clips[0] if clips else none)[key] for key in none}
    outcomes = tuple(number < right for number in range(EXAMPLES))
    margins = tuple(0.5 if each else -0.25 for each in outcomes)
    result: dict[str, Any] = {"outcomes": outcomes, "margins": margins, "implicit": implicit, "seconds": SECONDS}
    kept = {"shots": 4, "clips": clips, "parameters_kept": 10 - len(clips)}
    return stored_record(point.trial_ids[0], **result) | where | kept


def theory_standings(
    n_layers: int = BLOCKS,
    rates: Sequence[float] = RATES,
    *,
    measured: bool = True,
    changes: Mapping[str, Logs] | None = None,
) -> Standings:
    """The study's points with their rows; arguments as of ``theory_rows``."""
    points = theory_points(n_layers, rates)
    return Standings(points, theory_rows(points, n_blocks=n_layers, measured=measured, changes=changes))


def theory_of(standings: Standings) -> Theory:
    """What the theory says of its trials."""
    return measure_theory(standings.rows, study="s", metric="accuracy")
