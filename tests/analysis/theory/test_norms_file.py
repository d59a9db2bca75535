"""The file of norms that were measured later: written whole, refused when broken, and put beside rows."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.row.row import OF_BLOCKS
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.theory.norms_file import NORMS_SCHEMA, NormsFile
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.spec.implicit import ImplicitNorms, TrialNorms
from tests.analysis.store.test_rows import attempts_of, finished

NORMS = ImplicitNorms(delta_w=(1.0, None), delta_w_softmax=(2.0, -math.inf), implicit_gradient=(3.0, 4.0), seconds=0.5)


def norms(trial_id: str, found: ImplicitNorms | None = NORMS, error: str | None = None) -> TrialNorms:
    return TrialNorms(trial_id=trial_id, norms=found, error=error)


@pytest.fixture
def file(tmp_path: Path) -> NormsFile:
    return NormsFile(tmp_path / "theory.parquet")


def write(file: NormsFile, **columns: Any) -> None:
    """Write a file of one row, with some columns replaced."""
    file.add([norms("a")])
    table = file.read()
    for name, value in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array([value]))
    pq.write_table(table, file._path)


def test_what_is_added_is_read_back_with_what_was_there(file: NormsFile) -> None:
    file.add([norms("a")])
    file.add([norms("b", None)])
    assert file.read().schema.equals(NORMS_SCHEMA)
    assert file.read().to_pylist() == [
        {
            "trial_id": "a",
            "log_delta_w": [1.0, None],
            "log_delta_w_softmax": [2.0, -math.inf],
            "log_implicit_gradient": [3.0, 4.0],
            "theory_seconds": 0.5,
            "schema_version": 1,
        },
        {"trial_id": "b", **dict.fromkeys(OF_BLOCKS), "theory_seconds": 0.0, "schema_version": 1},
    ]


def test_a_trial_that_is_added_again_has_one_row(file: NormsFile) -> None:
    file.add([norms("a", None)])
    file.add([norms("a")])
    assert file.read()["theory_seconds"].to_pylist() == [0.5]


def test_the_last_of_a_trial_counts_and_the_others_stay(file: NormsFile) -> None:
    file.add([norms("a"), norms("b"), norms("c")])
    file.add([norms("b"), norms("b", None)])
    table = file.read()
    assert table["trial_id"].to_pylist() == ["a", "c", "b"]
    assert table["log_delta_w"].to_pylist() == [[1.0, None], [1.0, None], None]


def test_of_trials_that_failed_nothing_is_written(file: NormsFile) -> None:
    file.add([norms("a", None, "too small a device")])
    assert not file._path.exists()
    assert file.read().num_rows == 0


def test_a_file_that_is_not_whole_is_refused(file: NormsFile) -> None:
    file.add([norms("a")])
    file._path.write_bytes(file._path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"theory.parquet is not a whole Parquet file.*Move it away and run"):
        file.read()
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        file.add([norms("b")])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"schema_version": 2}, "has schema version 2; this clipsweep reads up to 1. Upgrade it"),
        ({"theory_seconds": "long"}, "has other columns than ours"),
        ({"trial_id": None}, "is damaged: a row has no trial_id"),
        ({"log_delta_w": [1.0]}, "is damaged: rows have norms of different numbers of blocks"),
        ({"log_delta_w": None}, "is damaged: rows have norms of different numbers of blocks"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(columns: dict[str, Any], words: str, file: NormsFile) -> None:
    write(file, **columns)
    with pytest.raises(StoreError, match=words):
        file.read()


def test_without_a_file_rows_are_as_they_are(file: NormsFile) -> None:
    attempts = Attempts.none()
    assert file.fill(attempts) is attempts


def test_rows_are_filled_anew_when_the_file_has_changed(file: NormsFile) -> None:
    attempts = attempts_of(finished("a", 0), finished("b", 1))
    file.add([norms("a")])
    filled = file.fill(attempts)
    assert file.fill(attempts) is filled
    assert [row.implicit for row in filled] == [NORMS, None]
    file.add([norms("b")])
    assert [row.implicit for row in file.fill(attempts)] == [NORMS, NORMS]


def test_a_broken_file_is_no_trouble_to_who_does_not_ask_for_norms(file: NormsFile) -> None:
    file._path.write_bytes(b"damaged")
    (row,) = file.fill(attempts_of(finished("a", 0)))
    assert row.trial_id == "a"
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        row.log_delta_w  # noqa: B018 - it is asked for
