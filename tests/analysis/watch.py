"""Watches what is costly: Parquet files that are read, bootstraps that are computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from clipsweep.analysis.winners import gain


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

    def watch(differences: NDArray[np.float64]) -> tuple[float, float]:
        counts.append(len(differences))
        return bootstrap(differences)

    patch.setattr(gain, "bootstrap", watch)
    return counts
