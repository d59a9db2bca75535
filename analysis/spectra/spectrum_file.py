"""The spectrum file: singular values of one model's matrices, and what they say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.spectra.columns import (
    SPECTRUM_SCHEMA,
    SPECTRUM_VERSION,
    in_todays_columns,
    spectrum_record,
    with_measures,
)
from clipsweep.analysis.store.part import read_whole
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place

_COLUMNS = ("layer", "role", "parameter", "expert")
ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [(column, "ascending") for column in _COLUMNS]


class SpectrumFile:
    """A row for each matrix measured so far; the file is always whole. One process adds; any may read.

    Rows of another checkpoint, or of weights in another dtype, are never read, and are gone after the next ``add``.
    """

    def __init__(self, path: Path, model_fingerprint: str, dtype: str) -> None:
        """Open the file; nothing is created before the first row."""
        self._path = path
        self._shared = {"model_fingerprint": model_fingerprint, "dtype": dtype, "schema_version": SPECTRUM_VERSION}

    def add(self, spectra: Iterable[MatrixSpectrum]) -> None:
        """Write the file anew with these as well; when this returns they are on disk.

        Raises:
            StoreError: What is there is damaged, or was written by a newer clipsweep.
        """
        added = self.table_of(spectra)
        if added.num_rows:
            self._write(pa.concat_tables([self.read(), added]), within=self._path.parent)

    def replace(self, spectra: Iterable[MatrixSpectrum]) -> None:
        """Write the file with these alone, whatever is there."""
        self._write(self.table_of(spectra))

    def read(self) -> pa.Table:
        """All columns of the matrices measured so far: ``SPECTRUM_SCHEMA``.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        return self._ours(read_spectra(self._path)) if self._is_there else SPECTRUM_SCHEMA.empty_table()

    def conditions(self) -> dict[Place, tuple[float, ...]]:
        """Condition numbers of the matrices measured so far, by layer and role.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        conditions: dict[Place, tuple[float, ...]] = {}
        if not self._is_there:
            return conditions
        wanted = ["layer", "role", "condition_number", "model_fingerprint", "dtype"]
        table = in_todays_columns(self._path, read_whole(self._path, SPECTRUM_VERSION, wanted))
        for row in self._ours(table).to_pylist():
            place = row["layer"], row["role"]
            conditions[place] = (*conditions.get(place, ()), row["condition_number"])
        return conditions

    def table_of(self, spectra: Iterable[MatrixSpectrum]) -> pa.Table:
        """What the file holds of these: ``SPECTRUM_SCHEMA``."""
        rows = [self._shared | spectrum_record(spectrum) for spectrum in spectra]
        return pa.Table.from_pylist(rows, schema=SPECTRUM_SCHEMA)

    @property
    def _is_there(self) -> bool:
        return os.path.lexists(self._path)

    def _ours(self, table: pa.Table) -> pa.Table:
        """Rows of this model in this dtype."""
        models = zip(table["model_fingerprint"].to_pylist(), table["dtype"].to_pylist(), strict=True)
        ours = self._shared["model_fingerprint"], self._shared["dtype"]
        return table.filter(pa.array([model == ours for model in models], pa.bool_()))

    def _write(self, table: pa.Table, within: Path | None = None) -> None:
        with whole_file(self._path, within=within) as draft:
            pq.write_table(table.sort_by(ORDER), draft)


def read_spectra(path: Path) -> pa.Table:
    """All columns of a spectrum file, of whatever model: ``SPECTRUM_SCHEMA``.

    Columns that an older version did not write are worked out from the singular values, or null where float64 or the
    weights are needed.

    Raises:
        StoreError: The file is damaged, or was written by a newer clipsweep.
    """
    return with_measures(path, in_todays_columns(path, read_whole(path, SPECTRUM_VERSION)))
