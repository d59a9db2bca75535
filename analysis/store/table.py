"""The results table: Parquet files that are written whole, never edited, and read as one.

With ``spectrum.py`` the home of pyarrow.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.spec.trial import TrialResult, TrialState

SCHEMA_VERSION = 4
Row = dict[str, Any]
_MARGIN_DTYPE = np.dtype("<f2")

_CLIP = pa.struct([("layer", pa.int32()), ("module", pa.string()), ("clip_rate", pa.float64()), ("kind", pa.string())])
_TIME = pa.timestamp("us", tz="UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("trial_id", pa.string()),
    ("study", pa.string()),
    ("state", pa.string()),
    ("attempt", pa.int32()),
    ("model", pa.string()),
    ("model_fingerprint", pa.string()),
    ("dtype", pa.string()),
    ("task", pa.string()),
    ("variant", pa.string()),
    ("task_fingerprint", pa.string()),
    ("split", pa.string()),
    ("shots", pa.int32()),
    ("demo_seed", pa.int64()),
    ("clips", pa.list_(_CLIP)),
    ("layer", pa.int32()),
    ("module", pa.string()),
    ("clip_rate", pa.float64()),
    ("params", pa.string()),
    ("n_examples", pa.int32()),
    ("accuracy", pa.float64()),
    ("macro_f1", pa.float64()),
    ("gold_logprob", pa.float64()),
    ("calibration_error", pa.float64()),
    ("outcomes", pa.binary()),
    ("parameters_kept", pa.int64()),
    ("parameters_total", pa.int64()),
    ("operations", pa.int64()),
    ("engine_path", pa.string()),
    ("microbatch", pa.int32()),
    ("seconds", pa.float64()),
    ("replica", pa.string()),
    ("node", pa.string()),
    ("device", pa.string()),
    ("error", pa.string()),
    ("log_path", pa.string()),
    ("started_at", _TIME),
    ("finished_at", _TIME),
    ("versions", pa.struct([(name, pa.string()) for name in ("clipsweep", "torch", "transformers", "ray")])),
    ("schema_version", pa.int32()),
    ("demonstrations", pa.int32()),  # since version 2
    ("tally", pa.string()),  # since version 3
    ("margins", pa.binary()),  # since version 4
]
SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What a row holds besides the trial's own result, the same for all trials of a study.

    Attributes:
        study: Name of the study.
        model_fingerprint: Of the checkpoint.
        dtype: The dtype the model ran in.
        variant: The task's variant.
        task_fingerprint: Of the task and its rows.
        parameters_total: Of the model.
    """

    study: str
    model_fingerprint: str
    dtype: str
    variant: str
    task_fingerprint: str
    parameters_total: int


def make_row(
    result: TrialResult,
    context: RowContext,
    *,
    attempt: int,
    params: Row | None,
    parameters_kept: int,
    log_path: str | None,
) -> Row:
    """Lay a result out as a row of ``SCHEMA``."""
    spec, scores = result.trial.spec, result.scores
    single = spec.clips[0] if len(spec.clips) == 1 else None
    return {
        "trial_id": result.trial.trial_id,
        "study": context.study,
        "state": result.state.value,
        "attempt": attempt,
        "model": spec.model,
        "model_fingerprint": context.model_fingerprint,
        "dtype": context.dtype,
        "task": spec.task,
        "variant": context.variant,
        "task_fingerprint": context.task_fingerprint,
        "split": spec.split,
        "shots": spec.shots,
        "demo_seed": spec.demo_seed,
        "clips": [
            {"layer": clip.layer, "module": clip.module, "clip_rate": clip.clip_rate, "kind": clip.kind}
            for clip in spec.clips
        ],
        "layer": single.layer if single else None,
        "module": single.module if single else None,
        "clip_rate": single.clip_rate if single else None,
        "params": json.dumps(params) if params is not None else None,
        "n_examples": len(result.outcomes),
        "accuracy": scores.accuracy if scores else None,
        "macro_f1": scores.macro_f1 if scores else None,
        "gold_logprob": scores.gold_logprob if scores else None,
        "calibration_error": scores.calibration_error if scores else None,
        "outcomes": pack_outcomes(result.outcomes),
        "parameters_kept": parameters_kept,
        "parameters_total": context.parameters_total,
        "operations": result.operations,
        "engine_path": result.engine_path,
        "microbatch": result.microbatch,
        "seconds": result.seconds,
        "replica": result.replica,
        "node": result.node,
        "device": result.device,
        "error": result.error,
        "log_path": log_path,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "versions": result.versions,
        "schema_version": SCHEMA_VERSION,
        "demonstrations": result.demonstrations,
        "tally": json.dumps(result.tally.to_json()) if result.tally and result.state is TrialState.PRUNED else None,
        "margins": pack_margins(result.margins) if result.margins else None,
    }


def pack_outcomes(outcomes: Sequence[bool]) -> bytes:
    """One bit for each example, the first in the highest bit; the last byte is filled with zeros."""
    return np.packbits(np.asarray(outcomes, dtype=bool)).tobytes()


def unpack_outcomes(row: Row) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Right or wrong for each example of a stored row: shape ``(n_examples,)``."""
    packed = np.frombuffer(row["outcomes"], dtype=np.uint8)
    return np.unpackbits(packed, count=row["n_examples"]).astype(bool)


def pack_margins(margins: Sequence[float]) -> bytes:
    """Two bytes for each example: IEEE 754 half precision, little-endian; what lies beyond its range at its ends."""
    limit = float(np.finfo(_MARGIN_DTYPE).max)
    return bytes(np.clip(np.asarray(margins), -limit, limit).astype(_MARGIN_DTYPE))


def unpack_margins(row: Row) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Margin of each example of a stored row: shape ``(n_examples,)``; None where it has none.

    Those have none that failed, and those that were stored, or begun, before schema version 4.
    """
    packed = row.get("margins")
    return None if packed is None else np.frombuffer(packed, dtype=_MARGIN_DTYPE).astype(np.float64)


def jsonable(row: Row) -> Row:
    """A row with every value as JSON has it: times in ISO 8601, outcomes as 0 and 1, margins as they are in Base64."""
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
    outcomes = "".join("1" if right else "0" for right in unpack_outcomes(row))
    margins = None if row["margins"] is None else base64.b64encode(row["margins"]).decode()
    return plain | {"outcomes": outcomes, "margins": margins}


class ResultsTable:
    """Rows of one study under ``<dir>/trials``. One process appends; any may read."""

    def __init__(self, study_folder: Path) -> None:
        """Open the table; nothing is created before the first row."""
        self._folder = study_folder / "trials"
        self._sequence = itertools.count()
        self._writer = f"{os.getpid():x}{uuid.uuid4().hex[:8]}"

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows as one new file; when this returns they are on disk."""
        table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
        with whole_file(self._folder / f"part-{self._writer}-{next(self._sequence):06}.parquet") as draft:
            pq.write_table(table, draft)

    def read(self) -> list[Row]:
        """All rows in the order they finished.

        Raises:
            StoreError: A file is damaged, or was written by a newer clipsweep.
        """
        rows = [row for path in sorted(self._folder.glob("part-*.parquet")) for row in _read_file(path)]
        return sorted(rows, key=lambda row: (row["finished_at"], row["trial_id"]))

    def latest(self) -> dict[str, Row]:
        """The latest attempt at each trial, by trial identity; a complete one always wins."""
        return latest_of(self.read())


def latest_of(history: Iterable[Row]) -> dict[str, Row]:
    """The latest attempt at each trial, by trial identity; a complete one always wins."""
    latest: dict[str, Row] = {}
    for row in history:
        known = latest.get(row["trial_id"])
        if known is None or _rank(row) > _rank(known):
            latest[row["trial_id"]] = row
    return latest


def _rank(row: Row) -> tuple[bool, int]:
    return row["state"] == TrialState.COMPLETE.value, row["attempt"]


def _read_file(path: Path) -> list[Row]:
    table = read_whole(path, SCHEMA_VERSION)
    columns = {name: [None] * len(table) for name in SCHEMA.names}  # older files lack some
    columns |= {name: _values(table[name]) for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """The values of a column. Times are made here, as pyarrow loads pandas for them, which takes longer than a read."""
    if column.type != _TIME:
        return column.to_pylist()
    counts = (count for chunk in column.chunks for count in chunk.view(pa.int64()).to_pylist())
    return [None if count is None else _EPOCH + timedelta(microseconds=count) for count in counts]


def read_whole(path: Path, version: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file of ours, or some of its columns.

    Args:
        path: The file; its column ``schema_version`` is read in any case.
        version: The newest schema version that is understood.
        columns: Which columns; None for all.

    Raises:
        StoreError: It is damaged, or was written by a newer clipsweep.
    """
    try:
        with pq.ParquetFile(path) as file:  # read_table would load pandas
            wanted = None if columns is None else [*columns, "schema_version"]
            table = file.read(columns=wanted, use_threads=False)  # for files as small as ours threads cost more
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{path} is not a whole Parquet file ({error}). Move it away and run the study again."
        ) from error
    versions: list[Any] = table["schema_version"].to_pylist()
    newest = max(versions, default=version)
    if newest > version:
        raise StoreError(f"{path} has schema version {newest}; this clipsweep reads up to {version}. Upgrade it.")
    return table
