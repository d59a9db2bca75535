"""The singular values of a model's matrices as a pandas frame, a row per matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.analysis.spectra.spectrum_file import read_spectra
from clipsweep.trials.spec.modules import MODULES

if TYPE_CHECKING:
    import pandas
    import pyarrow as pa


def spectra_frame(table: pa.Table) -> pandas.DataFrame:
    """A spectrum file's table as a frame.

    Args:
        table: With the columns of ``SPECTRUM_SCHEMA``.

    Returns:
        Its columns, ``singular_values`` as a float32 array in each row, and two more: ``name``, such as ``layer 4 q``
        or ``layer 4 up of expert 2``, and ``modules``, a tuple of the modules that the matrix belongs to. Rows ascend
        by layer.
    """
    frame: pandas.DataFrame = table.to_pandas().astype({"expert": "Int64", "above_entry_edge": "Int64"})
    columns = (table[name].to_pylist() for name in ("layer", "role", "expert"))
    frame["name"] = [_name(*each) for each in zip(*columns, strict=True)]
    frame["modules"] = [modules_of(role) for role in frame["role"]]
    return frame.sort_values("layer", kind="stable", ignore_index=True)


def read_spectra_frame(path: Path) -> pandas.DataFrame:
    """The frame of a spectrum file: a study's ``spectrum.parquet``, or what ``clipsweep spectrum --out`` wrote.

    Raises:
        StoreError: The file is damaged, or was written by a newer clipsweep.
    """
    return spectra_frame(read_spectra(path))


def modules_of(role: str) -> tuple[str, ...]:
    """The modules that clip the matrices of a role."""
    return tuple(module for module, roles in MODULES.items() if role in roles)


def _name(layer: int, role: str, expert: int | None) -> str:
    return f"layer {layer} {role}" + ("" if expert is None else f" of expert {expert}")


def model_spectra(path: Path, model_fingerprint: str, dtype: str) -> pandas.DataFrame | None:
    """The singular values of one model that a file holds; None where there is no file, or none of that model in it.

    Args:
        path: The Parquet file.
        model_fingerprint: Of the model.
        dtype: In which it was loaded.

    Raises:
        StoreError: The file is damaged.
    """
    if not path.is_file():
        return None
    found = read_spectra_frame(path)
    ours = found[(found["model_fingerprint"] == model_fingerprint) & (found["dtype"] == dtype)]
    return ours if len(ours) else None
