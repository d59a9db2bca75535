"""Frames of studies that are made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from clipsweep.analysis.drawing.chart import Chart, Mark
from clipsweep.analysis.frames.point_frame import point_frame
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.row.row import SCHEMA, StoredRow
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from tests.analysis.winners.points import make_point

if TYPE_CHECKING:
    import pandas

M = TypeVar("M", bound=Mark)


def points_frame(points: Sequence[Point], rows: Mapping[str, StoredRow]) -> pandas.DataFrame:
    """The point frame of these points."""
    return point_frame(Standings(points, rows))


def trials_frame(rows: Iterable[StoredRow]) -> pandas.DataFrame:
    """The trial frame of these rows."""
    table = pa.Table.from_pylist([row.record() for row in rows], schema=SCHEMA)
    return trial_frame(Attempts.of(table).latest())


def at_shots(point: Point, shots: int) -> Point:
    """The same point with other demonstrations, its trials named after them: ``2mlp-1-0.5-0``."""
    return replace(
        point,
        shots=shots,
        trial_ids=tuple(f"{shots}{each}" for each in point.trial_ids),
        baseline_ids=tuple(f"{shots}{each}" for each in point.baseline_ids),
    )


def joint_point(name: str, *clips: tuple[int, str, float]) -> Point:
    """A point that clips several places, given as layer, module and rate; its trial is ``NAME-0``."""
    values = tuple(Clip(layer=layer, module=module, clip_rate=rate) for layer, module, rate in clips)
    return replace(make_point(1), clips=values, trial_ids=(f"{name}-0",))


def marks_of(chart: Chart, kind: type[M], panel: int = 0) -> list[M]:
    """The marks of a kind in one panel of a chart."""
    return [mark for mark in chart.panels[panel].marks if isinstance(mark, kind)]
