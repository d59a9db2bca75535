"""The file of a study's screens: a row for each clip that was screened, on each prompt set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.screens.prediction import predict
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.store.part import MEND, read_in_schema
from clipsweep.trials.base.errors import StoreError, first_line
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION, PromptSet

SCREEN_VERSION = 1
_NUMBER, _WHOLE, _TEXT = pa.float64(), pa.int32(), pa.string()
_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "model_fingerprint": (_TEXT, "Of the checkpoint: weights, config and tokenizer."),
    "dtype": (_TEXT, "Of the weights as they were screened."),
    "task_fingerprint": (_TEXT, "Of the task's wording and rows."),
    "shots": (_WHOLE, "Demonstrations in the prompt."),
    "demo_seed": (_WHOLE, "Seed that draws them."),
    "layer": (_WHOLE, "Decoder block of the clip, from 0."),
    "module": (_TEXT, "Of the clip."),
    "clip_rate": (_NUMBER, "Of the clip, a fraction."),
    "ranks": (pa.list_(_WHOLE), "That it leaves in the matrices that it changes."),
    "rows": (_WHOLE, "How many rows were screened: the last of the validation split."),
    "margin_change": (_NUMBER, "Predicted mean change of the margin, natural log."),
    "margin_change_se": (_NUMBER, "Its standard error."),
    "gain": (_NUMBER, "Predicted gain in accuracy, a fraction."),
    "gain_se": (_NUMBER, "Its standard error."),
    "formula": (_TEXT, "By which it was predicted."),
    "changes": (pa.list_(pa.float32()), "Predicted change of each row's margin."),
    "margins": (pa.list_(pa.float32()), "Of the untouched model on the same rows; the same for all clips."),
    "groups": (
        pa.list_(_WHOLE),
        "For each row the number of its group, which shares what comes by the demonstrations.",
    ),
    "operations": (
        pa.int64(),
        "Floating-point operations of this prompt set's screen, by the cost model.",
    ),
    "seconds": (_NUMBER, "Wall time of this prompt set's screen."),
    "schema_version": (_WHOLE, "Of this file's columns."),
}
SCREEN_SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"description": words}) for name, (kind, words) in _COLUMNS.items()]
)
_OF_A_SCREEN = ("shots", "demo_seed", "rows", "formula", "margins", "groups", "operations", "seconds")


class ScreenFile:
    """What was screened so far; the file is always whole. One process adds; any may read.

    Screens of another checkpoint, of weights in another dtype or of other rows are never read, and are gone after the
    next ``add``.
    """

    def __init__(self, path: Path, model_fingerprint: str, dtype: str, task_fingerprint: str) -> None:
        """Open the file; nothing is created before the first screen."""
        self._path = path
        self._shared = {
            "model_fingerprint": model_fingerprint,
            "dtype": dtype,
            "task_fingerprint": task_fingerprint,
            "schema_version": SCREEN_VERSION,
        }

    def add(self, screened: Iterable[Screened]) -> None:
        """Write the file anew with these as well, in the place of earlier ones of the same prompts.

        Raises:
            StoreError: What is there is damaged, or was written by a newer clipsweep.
        """
        by_prompts = {each.request.prompt_set: each for each in (*self._read(), *screened)}
        records = [self._shared | record for each in by_prompts.values() for record in _records(each)]
        with whole_file(self._path, within=self._path.parent) as draft:
            pq.write_table(pa.Table.from_pylist(records, schema=SCREEN_SCHEMA), draft)

    def table(self) -> pa.Table:
        """All columns of what was screened of this model and task so far: ``SCREEN_SCHEMA``.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        table = read_in_schema(self._path, SCREEN_VERSION, SCREEN_SCHEMA)
        ours = np.ones(len(table), dtype=bool)
        for name, value in self._shared.items():
            ours &= np.array([each == value for each in table[name].to_pylist()], dtype=bool)
        return table.filter(pa.array(ours))

    def screens(self) -> Screens:
        """What it says.

        Raises:
            StoreError: The file is damaged, or was written by a newer clipsweep.
        """
        return Screens(self._read())

    def _read(self) -> list[Screened]:
        by_prompts: dict[tuple[int, int], list[Record]] = {}
        for record in self.table().to_pylist():
            by_prompts.setdefault((record["shots"], record["demo_seed"]), []).append(record)
        try:
            return [_screened(records) for records in by_prompts.values()]
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self._path} is damaged ({first_line(error)}). {MEND}") from error


def _records(screened: Screened) -> list[Record]:
    """A row for each clip, but for what all rows of a file share."""
    request = screened.request
    shared: Record = {
        "shots": request.prompt_set.shots,
        "demo_seed": request.prompt_set.demo_seed,
        "rows": request.rows,
        "formula": screened.formula,
        "margins": screened.margins,
        "groups": screened.groups,
        "operations": screened.operations,
        "seconds": screened.seconds,
    }
    records = []
    for clip, ranks, changes in zip(request.clips, screened.ranks, screened.changes, strict=True):
        predicted = predict(screened, [changes.astype(np.float64)])
        own: Record = {
            "layer": clip.layer,
            "module": clip.module,
            "clip_rate": clip.clip_rate,
            "ranks": ranks,
            "margin_change": predicted.margin_change,
            "margin_change_se": predicted.margin_error,
            "gain": predicted.gain,
            "gain_se": predicted.gain_error,
            "changes": changes,
        }
        records.append(shared | own)
    return records


def _screened(records: list[Record]) -> Screened:
    """One screen out of its rows."""
    first = records[0]
    clips = [Clip(**{name: record[name] for name in ("layer", "module", "clip_rate")}) for record in records]
    prompt_set = PromptSet(shots=first["shots"], demo_seed=first["demo_seed"], split=VALIDATION)
    return Screened(
        request=ScreenRequest(prompt_set=prompt_set, clips=tuple(clips), rows=first["rows"]),
        ranks=tuple(tuple(record["ranks"]) for record in records),
        margins=np.array(first["margins"], dtype=np.float32),
        groups=tuple(first["groups"]),
        changes=np.array([record["changes"] for record in records], dtype=np.float32),
        formula=first["formula"],
        operations=first["operations"],
        seconds=first["seconds"],
    )
