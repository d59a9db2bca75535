"""Watches what is costly: Parquet files that are read, bootstraps that are computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.winners import gain
from clipsweep.analysis.winners.gain import Paired


def watch_files(patch: pytest.MonkeyPatch) -> list[str]:
    """Name of every Parquet file that is read from now on."""
    names: list[str] = []

    class Watched(pq.ParquetFile):
        def __init__(self, path: Path) -> None:
            names.append(path.name)
            super().__init__(path)

    patch.setattr(pq, "ParquetFile", Watched)
    return names


def watch_bootstraps(patch: pytest.MonkeyPatch) -> list[int]:
    """How many examples each bootstrap has that is computed from now on."""
    counts: list[int] = []
    bootstrap = gain.bootstrap

    def watch(paired: Sequence[Paired]) -> tuple[float, float]:
        counts.append(sum(len(each.differences) for each in paired))
        return bootstrap(paired)

    patch.setattr(gain, "bootstrap", watch)
    return counts
