"""The spectrum file: singular values and condition numbers of one model's matrices."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.store.part import MEND, read_whole
from clipsweep.trials.base.errors import StoreError, first_line
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place

SPECTRUM_VERSION = 1
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("model_fingerprint", pa.string()),
    ("dtype", pa.string()),
    ("layer", pa.int32()),
    ("role", pa.string()),
    ("parameter", pa.string()),
    ("expert", pa.int32()),
    ("rows", pa.int32()),
    ("cols", pa.int32()),
    ("singular_values", pa.list_(pa.float32())),
    ("condition_number", pa.float64()),
    ("schema_version", pa.int32()),
]
SPECTRUM_SCHEMA = pa.schema(_FIELDS)
_COLUMNS = ("layer", "role", "parameter", "expert")
ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [(column, "ascending") for column in _COLUMNS]


class SpectrumFile:
    """A row for each matrix measured so far; the file is always whole. One process adds; any may read.

    Rows of another checkpoint, or of weights in another dtype, are never read, and are gone after the next ``add``.
    """

    def __init__(self, path: Path, model_fingerprint: str, dtype: str) -> None:
        """Open the file; nothing is created before the first row."""
        self._path = path
        self._model_fingerprint = model_fingerprint
        self._dtype = dtype

    def add(self, spectra: Iterable[MatrixSpectrum]) -> None:
        """Write the file anew with these as well; when this returns they are on disk.

        Raises:
            StoreError: What is there is damaged, or was written by a newer clipsweep.
        """
        added = self._table(spectra)
        if added.num_rows:
            self._write(pa.concat_tables([self._stored(), added]), within=self._path.parent)

    def replace(self, spectra: Iterable[MatrixSpectrum]) -> None:
        """Write the file with these alone, whatever is there."""
        self._write(self._table(spectra))

    def conditions(self) -> dict[Place, tuple[float, ...]]:
        """Condition numbers of the matrices measured so far, by layer and role.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        conditions: dict[Place, tuple[float, ...]] = {}
        for row in self._stored(["layer", "role", "condition_number"]).to_pylist():
            place = row["layer"], row["role"]
            conditions[place] = (*conditions.get(place, ()), row["condition_number"])
        return conditions

    def _stored(self, columns: list[str] | None = None) -> pa.Table:
        """Rows of this model in this dtype."""
        if not os.path.lexists(self._path):
            return SPECTRUM_SCHEMA.empty_table()
        wanted = None if columns is None else [*columns, "model_fingerprint", "dtype"]
        table = self._in_our_types(read_whole(self._path, SPECTRUM_VERSION, wanted))
        models = zip(table["model_fingerprint"].to_pylist(), table["dtype"].to_pylist(), strict=True)
        return table.filter(pa.array([model == (self._model_fingerprint, self._dtype) for model in models], pa.bool_()))

    def _in_our_types(self, table: pa.Table) -> pa.Table:
        """The table of a file with the types that we write; refused where a value is missing."""
        try:
            columns = [table[name].cast(SPECTRUM_SCHEMA.field(name).type) for name in table.column_names]
        except (pa.ArrowException, KeyError) as error:
            raise StoreError(f"{self._path} has other columns than ours ({first_line(error)}). {MEND}") from error
        required = [each for each in zip(table.column_names, columns, strict=True) if each[0] != "expert"]
        missing = [name for name, column in required if column.null_count]
        if missing:
            raise StoreError(f"{self._path} is damaged: a row has no {missing[0]}. {MEND}")
        return pa.table(columns, names=table.column_names)

    def _table(self, spectra: Iterable[MatrixSpectrum]) -> pa.Table:
        return pa.Table.from_pylist([self._row(spectrum) for spectrum in spectra], schema=SPECTRUM_SCHEMA)

    def _write(self, table: pa.Table, within: Path | None = None) -> None:
        with whole_file(self._path, within=within) as draft:
            pq.write_table(table.sort_by(ORDER), draft)

    def _row(self, spectrum: MatrixSpectrum) -> Record:
        return {
            "model_fingerprint": self._model_fingerprint,
            "dtype": self._dtype,
            "layer": spectrum.layer,
            "role": spectrum.role,
            "parameter": spectrum.parameter,
            "expert": spectrum.expert,
            "rows": spectrum.rows,
            "cols": spectrum.cols,
            "singular_values": spectrum.singular_values,
            "condition_number": spectrum.condition_number,
            "schema_version": SPECTRUM_VERSION,
        }
