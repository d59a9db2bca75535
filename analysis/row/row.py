"""A stored row: one attempt at a trial, with a name and a type for each of its values."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipsweep.analysis.row.arrays import ends_of
from clipsweep.analysis.row.columns import Cells, Column, RecordCells
from clipsweep.analysis.row.packing import outcomes_as_text, unpack_margins, unpack_outcomes
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.versions import RECORDED
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState

SCHEMA_VERSION = 6  # 2: demonstrations; 3: tally; 4: margins; 5: state "partial", no params; 6: options of a clip

_CLIP = pa.struct(
    [
        ("layer", pa.int32()),
        ("module", pa.string()),
        ("clip_rate", pa.float64()),
        ("kind", pa.string()),
        ("options", pa.string()),
    ]
)
_CLIP_FIELDS = [field.name for field in fields(Clip)]
_TIME = pa.timestamp("us", tz="UTC")
_VERSIONS = pa.struct([(name, pa.string()) for name in ("clipsweep", *RECORDED)])

CLIPS_KEPT = 2**14  # of which many rows are made
Record = dict[str, Any]  # a row's plain values by column, as pyarrow takes them


def _read_clips(stored: Sequence[Mapping[str, Any]]) -> tuple[Clip, ...]:
    return tuple(Clip(**clip) for clip in stored)


def _read_tally(stored: str | None) -> Tally | None:
    try:
        return None if stored is None else Tally.of_json(json.loads(stored))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(
            f"a stored row has a tally that is none ({error!r}). 'clipsweep verify' names its file; move that away."
        ) from error


@lru_cache(maxsize=CLIPS_KEPT)
def _clip(layer: int, module: str, clip_rate: float, kind: str, options: str | None) -> Clip:
    return Clip(layer=layer, module=module, clip_rate=clip_rate, kind=kind, options=options)


def clips_in(column: pa.ChunkedArray[Any]) -> Iterator[tuple[Clip, ...]]:
    """The clips of many rows, in a tenth of the time that it takes row by row."""
    for chunk in column.chunks:
        listed: Any = chunk
        fields = [listed.values.field(name).to_pylist() for name in _CLIP_FIELDS]
        clips = list(map(_clip, *fields))
        for first, end in pairwise(ends_of(listed).tolist()):
            yield tuple(clips[first:end])


class StoredRow:
    """One attempt at a trial, as it is stored.

    The values stay in the table that the row was read from until they are asked for. A row does not change.
    ``docs/howto/results.md`` lists the columns with their meaning and unit. Below, None stands for null.
    """

    __slots__ = ("cells", "number")

    trial_id: Column[str] = Column(pa.string())
    study: Column[str] = Column(pa.string())
    state: Column[TrialState] = Column(pa.string(), TrialState)
    attempt: Column[int] = Column(pa.int32())
    model: Column[str] = Column(pa.string())
    model_fingerprint: Column[str] = Column(pa.string())
    dtype: Column[str] = Column(pa.string())
    task: Column[str] = Column(pa.string())
    variant: Column[str] = Column(pa.string())
    task_fingerprint: Column[str] = Column(pa.string())
    split: Column[str] = Column(pa.string())
    shots: Column[int] = Column(pa.int32())
    demo_seed: Column[int] = Column(pa.int64())
    clips: Column[tuple[Clip, ...]] = Column(pa.list_(_CLIP), _read_clips)
    layer: Column[int | None] = Column(pa.int32())
    module: Column[str | None] = Column(pa.string())
    clip_rate: Column[float | None] = Column(pa.float64())
    n_examples: Column[int] = Column(pa.int32())
    accuracy: Column[float | None] = Column(pa.float64())
    macro_f1: Column[float | None] = Column(pa.float64())
    gold_logprob: Column[float | None] = Column(pa.float64())
    calibration_error: Column[float | None] = Column(pa.float64())
    _outcomes: Column[bytes] = Column(pa.binary())
    parameters_kept: Column[int] = Column(pa.int64())
    parameters_total: Column[int] = Column(pa.int64())
    operations: Column[int] = Column(pa.int64())
    engine_path: Column[str | None] = Column(pa.string())
    microbatch: Column[int] = Column(pa.int32())
    seconds: Column[float] = Column(pa.float64())
    replica: Column[str] = Column(pa.string())
    node: Column[str] = Column(pa.string())
    device: Column[str] = Column(pa.string())
    error: Column[str | None] = Column(pa.string())
    log_path: Column[str | None] = Column(pa.string())
    started_at: Column[datetime] = Column(_TIME)
    finished_at: Column[datetime] = Column(_TIME)
    versions: Column[dict[str, str | None]] = Column(_VERSIONS)
    schema_version: Column[int] = Column(pa.int32())
    demonstrations: Column[int | None] = Column(pa.int32())
    tally: Column[Tally | None] = Column(pa.string(), _read_tally)
    _margins: Column[bytes | None] = Column(pa.binary())

    def __init__(self, cells: Cells, number: int = 0) -> None:
        """Point at one row of a table.

        Args:
            cells: Of the table.
            number: Of the row in it, from 0.
        """
        self.cells = cells
        self.number = number

    @classmethod
    def of(cls, record: Record) -> StoredRow:
        """The row of plain values by column; columns that are missing are null."""
        return cls(RecordCells(record))

    @property
    def outcomes(self) -> NDArray[np.bool_]:
        """Right or wrong for each example that was evaluated, from the split's first: shape ``(n_examples,)``."""
        return unpack_outcomes(self._outcomes, self.n_examples)

    @property
    def margins(self) -> NDArray[np.float64] | None:
        """How far the right label was ahead in each of those examples: shape ``(n_examples,)``.

        None where the trial failed, and in rows that were stored, or begun, before schema version 4.
        """
        return None if self._margins is None else unpack_margins(self._margins)

    @property
    def has_margins(self) -> bool:
        """Whether ``margins`` are there; cheaper than to unpack them."""
        return self._margins is not None

    @property
    def is_complete(self) -> bool:
        """Whether the trial has seen all rows of its split."""
        return self.state is TrialState.COMPLETE

    @property
    def has_scores(self) -> bool:
        """Whether it was evaluated, on all rows or, in a race, on the first of them."""
        return self.state.has_scores

    @property
    def is_cut_short(self) -> bool:
        """Whether it has scores, but of the first rows alone."""
        return self.has_scores and not self.is_complete

    def score(self, metric: str) -> float:
        """Its score by a metric, higher being better. The row must have scores."""
        value: float | None = self.cells.value(metric, self.number)
        assert value is not None, f"only rows with scores are asked for one; {self.trial_id} has no {metric}"
        return value

    def record(self) -> Record:
        """Its plain values by column, as they are stored."""
        return {name: self.cells.value(name, self.number) for name in SCHEMA.names}

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal."""
        return isinstance(other, StoredRow) and self.record() == other.record()

    def __hash__(self) -> int:
        """By trial and attempt."""
        return hash((self.trial_id, self.attempt))

    def __repr__(self) -> str:
        """Which trial it is, and how it ended."""
        return f"StoredRow(trial_id={self.trial_id!r}, attempt={self.attempt}, state={self.state.value!r})"


def _columns() -> list[Column[Any]]:
    return [column for column in vars(StoredRow).values() if isinstance(column, Column)]


SCHEMA = pa.schema([(column.name, column.arrow) for column in _columns()])


NUMBER, TEXT, TIME, SEVERAL = "number", "text", "time", "several"


def kind_of(column: str) -> str:
    """What a column of ``SCHEMA`` holds, for whoever compares its values: one of the four above."""
    kind = SCHEMA.field(column).type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return SEVERAL
    if pa.types.is_timestamp(kind):
        return TIME
    return TEXT if pa.types.is_string(kind) else NUMBER


def clip_record(clip: Clip) -> Record:
    """A clip as the column ``clips`` holds it."""
    return {name: getattr(clip, name) for name in _CLIP_FIELDS}  # asdict copies, and takes five times as long


def jsonable(row: StoredRow) -> Record:
    """A row with every value as JSON has it: times in ISO 8601, outcomes as 0 and 1, margins as they are in Base64."""
    record = row.record()
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in record.items()}
    margins = record["margins"]
    return plain | {
        "outcomes": outcomes_as_text(record["outcomes"], record["n_examples"]),
        "margins": None if margins is None else base64.b64encode(margins).decode(),
    }
