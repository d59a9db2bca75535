"""The file of norms that were measured after their trials had been scored, and rows with what it holds of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipsweep.analysis.row.row import OF_BLOCKS, SCHEMA, Record
from clipsweep.analysis.store.filled import Filling
from clipsweep.analysis.store.part import MEND, read_in_schema
from clipsweep.analysis.store.rows import Attempts
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.spec.implicit import TrialNorms

NORMS_VERSION = 1
SECONDS = "theory_seconds"
_WORDS = {
    "trial_id": "Of the trial, as its row has it.",
    **dict.fromkeys(OF_BLOCKS, "As the column of rows; null where the prompts have nothing to measure."),
    SECONDS: "Wall time of measuring: the trial's weights, its pass over the demonstrations, and the norms.",
    "schema_version": "Of this file's columns.",
}
NORMS_SCHEMA = pa.schema([SCHEMA.field(name).with_metadata({"description": words}) for name, words in _WORDS.items()])


class NormsFile:
    """A row for each trial that was measured on its own; the file is always whole. One process adds; any may read.

    A trial's identity tells its model, dtype and prompts, so that the norms of others are never taken for its own.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; nothing is created before the first row."""
        self._path = path
        self._filled: tuple[Attempts, os.stat_result, Attempts] | None = None

    def add(self, measured: Iterable[TrialNorms]) -> None:
        """Write the file anew with these as well, in the place of earlier ones of the same trials.

        Trials that failed are left out. When this returns the others are on disk.

        Raises:
            StoreError: What is there is damaged, or was written by a newer clipsweep.
        """
        added = {each.trial_id: _record(each) for each in measured if each.error is None}
        if not added:
            return
        new = pa.Table.from_pylist(list(added.values()), schema=NORMS_SCHEMA)
        before = self.read()
        kept = before.filter(pc.invert(pc.is_in(before["trial_id"], value_set=new["trial_id"])))
        with whole_file(self._path, within=self._path.parent) as draft:
            pq.write_table(pa.concat_tables([kept, new]), draft)

    def read(self) -> pa.Table:
        """What was measured so far: ``NORMS_SCHEMA``.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        table = read_in_schema(self._path, NORMS_VERSION, NORMS_SCHEMA)
        for name in ("trial_id", SECONDS):
            if table[name].null_count:
                raise StoreError(f"{self._path} is damaged: a row has no {name}. {MEND}")
        chunks = [chunk for name in OF_BLOCKS for chunk in pc.list_value_length(table[name]).chunks]
        lengths = pa.chunked_array(chunks, pa.int32())
        if len(lengths.drop_null().unique()) > 1 or len({table[name].null_count for name in OF_BLOCKS}) > 1:
            raise StoreError(f"{self._path} is damaged: rows have norms of different numbers of blocks. {MEND}")
        return table

    def fill(self, attempts: Attempts) -> Attempts:
        """Rows with the norms that they lack and the file holds; read when they are asked for.

        As long as neither rows nor file change the same value is given again.
        """
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return attempts
        if self._filled is not None:
            rows, then, filled = self._filled
            if rows is attempts and (then.st_ino, then.st_mtime_ns) == (now.st_ino, now.st_mtime_ns):
                return filled
        filled = attempts.filled(Filling((*OF_BLOCKS, SECONDS), self.read))
        self._filled = attempts, now, filled
        return filled


def _record(measured: TrialNorms) -> Record:
    norms = measured.norms
    return {
        "trial_id": measured.trial_id,
        "log_delta_w": norms and norms.delta_w,
        "log_delta_w_softmax": norms and norms.delta_w_softmax,
        "log_implicit_gradient": norms and norms.implicit_gradient,
        SECONDS: norms.seconds if norms else 0.0,
        "schema_version": NORMS_VERSION,
    }
