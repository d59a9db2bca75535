"""Watches what is costly: Parquet files that are read, bootstraps that are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy import stats


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
    bootstrap = stats.bootstrap

    def watch(data: tuple[NDArray[np.float64]], *arguments: Any, **options: Any) -> Any:
        counts.append(len(data[0]))
        return bootstrap(data, *arguments, **options)

    patch.setattr(stats, "bootstrap", watch)
    return counts
