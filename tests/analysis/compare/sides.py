"""Studies that are made up, as they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import rows_of


def make_side(
    name: str,
    points: Sequence[Point],
    right: dict[str, list[int]],
    *,
    task: str = "rte",
    fingerprint: str = "t",
    n_layers: int = 28,
    driver: str = "grid",
) -> Side:
    """A study of ten rows; ``right`` says how many outcomes are right, as ``rows_of`` takes it."""
    stored = [changed(row, task=task, task_fingerprint=fingerprint).record() for row in rows_of(**right).values()]
    rows = Attempts.of(pa.Table.from_pylist(stored, schema=SCHEMA)).latest()
    return Side(
        name=name,
        dir=f"studies/{name}",
        standings=Standings(points, rows),
        rows=rows,
        n_layers=n_layers,
        settings={"driver": driver},
    )


def evenly(name: str, points: Sequence[Point], **settings: Any) -> Side:
    """A study of which every point with one seed has five of ten right."""
    names = [point.trial_ids[0].removesuffix("-0").replace(".", "__").replace("-", "_") for point in points]
    return make_side(name, points, {each: [5] for each in names}, **settings)
