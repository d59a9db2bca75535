"""The columns of the spectrum file: a row for each matrix, with what its singular values say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.spectra.measures import Edge, measure
from clipsweep.analysis.store.part import MEND
from clipsweep.trials.base.errors import StoreError, first_line
from clipsweep.trials.clips.spectrum import MatrixSpectrum

SPECTRUM_VERSION = 2  # 2: what took float64, and the measures
_NUMBER, _WHOLE, _TEXT = pa.float64(), pa.int32(), pa.string()
_OF_A_MATRIX: dict[str, tuple[pa.DataType, str]] = {
    "model_fingerprint": (_TEXT, "Of the checkpoint: weights, config and tokenizer."),
    "dtype": (_TEXT, "Of the weights as they were measured."),
    "layer": (_WHOLE, "Decoder block, from 0."),
    "role": (_TEXT, "Of the matrix in its block: q, k, v, o, fc_in, fc_out, up, gate, down."),
    "parameter": (_TEXT, "Name of the model's parameter that holds it."),
    "expert": (_WHOLE, "Index in a parameter that holds all experts of a mixture; null elsewhere."),
    "rows": (_WHOLE, "Outputs."),
    "cols": (_WHOLE, "Inputs."),
    "singular_values": (pa.list_(pa.float32()), "All of them, largest first, computed in float32."),
    "condition_number": (_NUMBER, "Largest singular value over the smallest, in float32; what layer rules go by."),
    "schema_version": (_WHOLE, "Of this file's columns."),
}
_ADDED: dict[str, tuple[pa.DataType, str]] = {  # null where they were not measured
    "condition_number_float64": (_NUMBER, "The same of singular values computed in float64."),
    "entry_std": (_NUMBER, "Standard deviation of the matrix's entries."),
    "effective_rank": (_NUMBER, "Exponential of the entropy of the singular values (Roy and Vetterli, 2007)."),
    "stable_rank": (_NUMBER, "Sum of the squared singular values over the largest squared."),
    "iqr_edge": (_NUMBER, "laserRMT's edge: interquartile range of the singular values / 1.349 * (1 + sqrt(beta))."),
    "above_iqr_edge": (_WHOLE, "How many singular values lie above it."),
    "iqr_snr": (_NUMBER, "Sum of those over the sum of the others."),
    "entry_edge": (_NUMBER, "Edge of noise with the entries' standard deviation: entry_std * (sqrt(m) + sqrt(n))."),
    "above_entry_edge": (_WHOLE, "How many singular values lie above it."),
    "entry_snr": (_NUMBER, "Sum of those over the sum of the others."),
}
SPECTRUM_SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"description": words}) for name, (kind, words) in (_OF_A_MATRIX | _ADDED).items()]
)
_REQUIRED = _OF_A_MATRIX.keys() - {"expert"}


def spectrum_record(spectrum: MatrixSpectrum) -> Record:
    """The values of one matrix by column, but for those that all matrices of a file share."""
    return {
        "layer": spectrum.layer,
        "role": spectrum.role,
        "parameter": spectrum.parameter,
        "expert": spectrum.expert,
        "rows": spectrum.rows,
        "cols": spectrum.cols,
        "singular_values": spectrum.singular_values,
        "condition_number": spectrum.condition_number,
        "condition_number_float64": spectrum.condition_number_float64,
        "entry_std": spectrum.entry_std,
        **_measures(spectrum.singular_values, spectrum.rows, spectrum.cols, spectrum.entry_std),
    }


def in_todays_columns(path: Path, table: pa.Table) -> pa.Table:
    """The table of a file with the types that we write; what an older version did not measure is null.

    Args:
        path: The file, for messages.
        table: All of its columns, or some.

    Raises:
        StoreError: A column is not ours, or has a null where none can be.
    """
    try:
        columns = [table[name].cast(SPECTRUM_SCHEMA.field(name).type) for name in table.column_names]
    except (pa.ArrowException, KeyError) as error:
        raise StoreError(f"{path} has other columns than ours ({first_line(error)}). {MEND}") from error
    for name, column in zip(table.column_names, columns, strict=True):
        if name in _REQUIRED and column.null_count:
            raise StoreError(f"{path} is damaged: a row has no {name}. {MEND}")
    return pa.table(columns, names=table.column_names)


def with_measures(path: Path, table: pa.Table) -> pa.Table:
    """All columns of a file, in our order; what follows from the singular values is worked out where it is missing.

    Args:
        path: The file, for messages.
        table: All of its columns, in our types.

    Raises:
        StoreError: A column is missing that every version writes.
    """
    if missing := sorted(_OF_A_MATRIX.keys() - set(table.column_names)):
        raise StoreError(f"{path} has no column {missing[0]}. {MEND}")
    if set(table.column_names) == set(SPECTRUM_SCHEMA.names):
        return table.select(SPECTRUM_SCHEMA.names)
    rows = [
        row | _measures(row["singular_values"], row["rows"], row["cols"], row.get("entry_std"))
        for row in table.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=SPECTRUM_SCHEMA)


def _measures(values: Sequence[float], rows: int, cols: int, entry_std: float | None) -> dict[str, Any]:
    found = measure(values, rows, cols, entry_std)
    return {
        "effective_rank": found.effective_rank,
        "stable_rank": found.stable_rank,
        **_edge("iqr", found.iqr_edge),
        **_edge("entry", found.entry_edge),
    }


def _edge(name: str, edge: Edge | None) -> dict[str, Any]:
    return {
        f"{name}_edge": edge and edge.value,
        f"above_{name}_edge": edge and edge.above,
        f"{name}_snr": edge and edge.snr,
    }
