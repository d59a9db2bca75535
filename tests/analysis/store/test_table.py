import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.analysis.store.packing import pack_margins, pack_outcomes, unpack_margins, unpack_outcomes
from clipsweep.analysis.store.record import RowContext
from clipsweep.analysis.store.record import make_record as make_row
from clipsweep.analysis.store.row import SCHEMA, SCHEMA_VERSION, jsonable
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.scores.tally import LabelTally, Tally
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial
from tests.trials.models.test_card import CARD
from tests.trials.spec.test_clip import make_clip
from tests.trials.spec.test_trial import make_spec

CONTEXT = RowContext(
    study="s", model_fingerprint="m", dtype="float32", variant="paper", task_fingerprint="t", parameters_total=10
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_result(trial_id: str = "a", outcomes: tuple[bool, ...] = (True, False), **changes: Any) -> TrialResult:
    spec = make_spec(clips=(make_clip(),))
    fields: dict[str, Any] = {
        "trial": Trial(trial_id=trial_id, spec=spec, resolved=resolve(spec.clips, CARD)),
        "state": TrialState.COMPLETE,
        "outcomes": outcomes,
        "tally": Tally(
            examples=len(outcomes),
            right=sum(outcomes),
            gold_logprob=-0.7 * len(outcomes),
            labels=(LabelTally(hits=1, predicted=3, gold=1),),
            gaps=(0.1 * len(outcomes),),
        ),
        "margins": tuple(1.5 if right else -0.25 for right in outcomes),
        "operations": 7,
        "engine_path": "e",
        "microbatch": 4,
        "seconds": 0.5,
        "replica": "r",
        "node": "n",
        "device": "cpu",
        "started_at": NOON,
        "finished_at": NOON,
        "versions": {"clipsweep": "0", "torch": "0", "transformers": "0", "ray": None},
    }
    return TrialResult(**(fields | changes))


def stored_row(trial_id: str = "a", attempt: int = 1, **changes: Any) -> dict[str, Any]:
    result = make_result(trial_id, **changes)
    return make_row(result, CONTEXT, attempt=attempt, params={"layer": 0}, parameters_kept=5, log_path=None)


def failed(**changes: Any) -> dict[str, Any]:
    fields = {"state": TrialState.FAILED, "tally": None, "outcomes": (), "margins": (), "error": "boom"}
    return stored_row(**(fields | changes))


def test_a_row_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    row = stored_row()
    ResultsTable(tmp_path).append([row])
    assert ResultsTable(tmp_path).read() == [row]
    assert list(row) == SCHEMA.names


@given(st.lists(st.booleans(), max_size=70))
def test_outcomes_come_back_bit_by_bit(outcomes: list[bool]) -> None:
    row = {"outcomes": pack_outcomes(outcomes), "n_examples": len(outcomes)}
    assert unpack_outcomes(row).tolist() == outcomes


@given(st.lists(st.floats(-6e4, 6e4, width=16)))
def test_margins_come_back_in_half_precision(margins: list[float]) -> None:
    found = unpack_margins({"margins": pack_margins(margins)})
    assert found is not None
    assert found.tolist() == margins


def test_margins_beyond_half_precision_stay_finite() -> None:
    found = unpack_margins({"margins": pack_margins([1e6, -1e6])})
    assert found is not None
    assert found.tolist() == [65504, -65504]


def test_rows_of_older_files_have_no_margins(tmp_path: Path) -> None:
    old = pa.Table.from_pylist([stored_row() | {"schema_version": 3}], schema=SCHEMA).drop_columns(["margins"])
    (tmp_path / "trials").mkdir()
    pq.write_table(old, tmp_path / "trials" / "part-old-0.parquet")
    [row] = ResultsTable(tmp_path).read()
    assert row.margins is None
    assert unpack_margins(row) is None
    assert jsonable(row)["margins"] is None


def test_each_append_is_one_new_file_and_edits_none(tmp_path: Path) -> None:
    table = ResultsTable(tmp_path)
    table.append([stored_row("a"), stored_row("b")])
    first = {path: path.read_bytes() for path in (tmp_path / "trials").iterdir()}
    assert len(first) == 1
    table.append([stored_row("c")])
    assert len(list((tmp_path / "trials").iterdir())) == 2
    assert all(path.read_bytes() == content for path, content in first.items())


def test_a_draft_left_by_a_killed_writer_is_not_read(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_row()])
    (tmp_path / "trials" / ".draft-1-part-x.parquet").write_bytes(b"torn")
    assert len(ResultsTable(tmp_path).read()) == 1


def test_two_writers_never_take_each_others_file(tmp_path: Path) -> None:
    tables = [ResultsTable(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=table.append, args=([stored_row(str(n))],)) for n, table in enumerate(tables)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.trial_id for row in ResultsTable(tmp_path).read()} == {"0", "1", "2", "3"}


def test_the_latest_attempt_counts_and_a_complete_one_always_wins(tmp_path: Path) -> None:
    later = NOON + timedelta(hours=1)
    table = ResultsTable(tmp_path)
    table.append([failed(trial_id="a", attempt=1), stored_row("a", attempt=2), failed(trial_id="b", attempt=1)])
    table.append([failed(trial_id="a", attempt=3, finished_at=later), failed(trial_id="b", attempt=2)])
    latest = table.latest()
    assert (latest["a"].attempt, latest["b"].attempt) == (2, 2)


def test_a_damaged_file_is_named_with_the_mend(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_row()])
    path = next((tmp_path / "trials").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match=f"{path.name} is not a whole Parquet file.*Move it away"):
        ResultsTable(tmp_path).read()


def test_rows_of_a_newer_schema_are_refused(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_row() | {"schema_version": SCHEMA_VERSION + 1}])
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}; this clipsweep reads up to"):
        ResultsTable(tmp_path).read()


def test_a_row_can_be_read_by_any_parquet_reader(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_row()])
    frame = pq.read_table(tmp_path / "trials").to_pandas()
    assert frame.loc[0, ["layer", "module", "clip_rate", "accuracy"]].tolist() == [0, "mlp", 0.5, 0.5]


def test_a_row_becomes_plain_json() -> None:
    plain = json.loads(json.dumps(jsonable(stored_row())))
    assert plain["outcomes"] == "10"
    assert np.frombuffer(base64.b64decode(plain["margins"]), "<f2").tolist() == [1.5, -0.25]
    assert plain["finished_at"] == "2026-01-01T12:00:00+00:00"
