from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from clipsweep.analysis.row.columns import ArrowCells
from clipsweep.analysis.row.row import SCHEMA, Record
from clipsweep.analysis.store.rows import Attempts
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import NOON, failed_record, stored_record, stored_row


def attempts_of(*records: Record) -> Attempts:
    return Attempts.of(pa.Table.from_pylist(list(records), schema=SCHEMA))


def finished(trial_id: str, minute: int, state: TrialState = TrialState.COMPLETE, attempt: int = 1) -> Record:
    """What is stored of a trial that finished at this minute."""
    return stored_record(trial_id, attempt, state=state, finished_at=NOON + timedelta(minutes=minute))


@pytest.fixture
def values_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Column of every value that leaves an Arrow table from now on."""
    names: list[str] = []
    value = ArrowCells.value

    def watch(self: ArrowCells, name: str, number: int) -> Any:
        names.append(name)
        return value(self, name, number)

    monkeypatch.setattr(ArrowCells, "value", watch)
    return names


def test_attempts_are_in_the_order_they_finished() -> None:
    attempts = attempts_of(finished("a", 3), finished("c", 1), finished("b", 1), finished("d", 2))
    assert [row.trial_id for row in attempts] == ["b", "c", "d", "a"]


def test_attempts_at_a_trial_that_finished_at_once_are_in_their_own_order() -> None:
    attempts = attempts_of(finished("a", 0, attempt=2), finished("a", 0, attempt=1))
    assert [row.attempt for row in attempts] == [1, 2]


def test_attempts_are_taken_by_number_from_either_end_or_as_a_range() -> None:
    attempts = attempts_of(*(finished(name, minute) for minute, name in enumerate("abcd")))
    assert (len(attempts), attempts[0].trial_id, attempts[-1].trial_id) == (4, "a", "d")
    assert [row.trial_id for row in attempts[1:3]] == ["b", "c"]
    with pytest.raises(IndexError):
        attempts[4]


def test_a_value_leaves_arrow_when_it_is_asked_for_and_not_before(values_read: list[str]) -> None:
    attempts = attempts_of(finished("a", 0), finished("b", 1))
    latest = attempts.latest()
    assert (len(attempts), len(latest), "a" in latest, list(latest)) == (2, 2, True, ["a", "b"])
    assert values_read == []
    assert latest["b"].shots == 0
    assert values_read == ["shots"]


def test_putting_attempts_in_order_copies_none_of_their_margins() -> None:
    table = pa.Table.from_pylist([stored_record(str(n), margins=(1.0,) * 10**6) for n in range(3)], schema=SCHEMA)
    before = pa.total_allocated_bytes()
    attempts = Attempts.of(pa.concat_tables([table, table]))
    assert attempts.latest()["2"].has_margins
    assert pa.total_allocated_bytes() - before < 10**6


def test_some_columns_of_all_attempts_are_in_their_order() -> None:
    table = attempts_of(finished("a", 3), finished("c", 1)).columns(["trial_id", "attempt"])
    assert table.to_pylist() == [{"trial_id": "c", "attempt": 1}, {"trial_id": "a", "attempt": 1}]


def test_without_attempts_there_are_no_rows() -> None:
    assert (list(Attempts.none()), dict(Attempts.none().latest())) == ([], {})


def test_the_latest_attempt_counts() -> None:
    latest = attempts_of(failed_record(trial_id="a"), finished("a", 1, TrialState.PRUNED, attempt=2)).latest()
    assert latest["a"].attempt == 2


def test_a_complete_attempt_counts_although_others_follow() -> None:
    latest = attempts_of(finished("a", 0), failed_record(trial_id="a", attempt=2)).latest()
    assert latest["a"].attempt == 1


def test_the_latest_rows_keep_the_order_of_first_attempts() -> None:
    again = finished("b", 4, attempt=2)
    first = [failed_record(trial_id="b"), finished("c", 1), finished("a", 2)]
    assert list(attempts_of(again, *first).latest()) == ["b", "c", "a"]


def test_rows_that_are_added_take_the_place_of_older_ones_and_come_last_where_they_are_new() -> None:
    latest = attempts_of(finished("a", 0, TrialState.PARTIAL), finished("b", 1)).latest()
    latest.add([stored_row("new"), stored_row("a", 2)])
    assert list(latest) == ["a", "b", "new"]
    assert (len(latest), latest["a"].attempt, latest["b"].attempt, "new" in latest) == (3, 2, 1, True)


def test_a_trial_without_a_row_is_not_there() -> None:
    latest = attempts_of(finished("a", 0)).latest()
    assert "b" not in latest
    assert latest.get("b") is None
