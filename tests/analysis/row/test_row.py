import base64
import json
from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.row.row import COLUMNS, SCHEMA, StoredRow, jsonable
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.result import TrialState
from tests.analysis.row.columns_table import columns_table
from tests.analysis.store.rows import (
    NOON,
    changed,
    columns_of,
    failed_row,
    make_result,
    stored_record,
    stored_row,
    text_row,
)
from tests.documents import text_of
from tests.trials.spec.test_clip import make_clip


def test_the_page_on_results_lists_the_columns_as_they_describe_themselves() -> None:
    assert columns_table() in text_of("Columns of a row")
    assert [column.name for column in COLUMNS] == SCHEMA.names


def test_a_row_has_its_plain_values_in_the_order_of_the_columns() -> None:
    record = stored_record()
    assert stored_row().record() == record
    assert list(stored_row().record()) == SCHEMA.names


def test_values_have_the_types_of_trials() -> None:
    row = stored_row(state=TrialState.PARTIAL)
    assert row.state is TrialState.PARTIAL
    assert row.clips == (make_clip(),)
    assert row.outcomes.tolist() == [True, False]
    assert row.margins is not None
    assert row.margins.tolist() == [1.5, -0.25]
    assert row.tally == make_result().tally
    assert (row.started_at, row.finished_at) == (NOON, NOON)


def test_columns_that_are_missing_are_null() -> None:
    row = StoredRow.of({"trial_id": "a"})
    assert (row.layer, row.accuracy, row.tally, row.margins, row.has_margins) == (None, None, None, None, False)


@pytest.mark.parametrize(
    ("state", "complete", "scores", "cut_short"),
    [
        (TrialState.COMPLETE, True, True, False),
        (TrialState.PARTIAL, False, True, True),
        (TrialState.PRUNED, False, True, True),
        (TrialState.FAILED, False, False, False),
    ],
)
def test_the_state_tells_what_was_seen(state: TrialState, complete: bool, scores: bool, cut_short: bool) -> None:
    row = stored_row(state=state)
    assert (row.is_complete, row.has_scores, row.is_cut_short) == (complete, scores, cut_short)


@pytest.mark.parametrize(("state", "kept"), [(state, state is TrialState.PARTIAL) for state in TrialState])
def test_the_tally_is_kept_of_trials_that_wait_for_their_next_part(state: TrialState, kept: bool) -> None:
    assert isinstance(stored_row(state=state).tally, Tally) is kept


def test_a_score_is_that_of_the_metric_asked_for() -> None:
    row = changed(stored_row(), accuracy=0.25, macro_f1=0.75)
    assert (row.score("accuracy"), row.score("macro_f1")) == (0.25, 0.75)


def test_a_row_without_scores_is_not_asked_for_one() -> None:
    with pytest.raises(AssertionError, match="only rows with scores are asked for one; a has no accuracy"):
        failed_row().score("accuracy")


@pytest.mark.parametrize("change", [{"attempt": 2}, {"accuracy": 0.1}, columns_of([True, True]), {"log_path": "l"}])
def test_rows_are_equal_when_all_values_are(change: dict[str, Any]) -> None:
    assert stored_row() == stored_row()
    assert stored_row() != changed(stored_row(), **change)


def test_a_row_says_which_it_is() -> None:
    assert repr(stored_row("a", 2)) == "StoredRow(trial_id='a', attempt=2, state='complete')"


def test_a_row_becomes_plain_json() -> None:
    plain = json.loads(json.dumps(jsonable(stored_row())))
    assert plain["outcomes"] == "10"
    assert np.frombuffer(base64.b64decode(plain["margins"]), "<f2").tolist() == [1.5, -0.25]
    assert plain["finished_at"] == "2026-01-01T12:00:00+00:00"
    assert list(plain) == SCHEMA.names


def test_a_row_without_margins_has_none_in_json() -> None:
    assert jsonable(failed_row())["margins"] is None


def test_a_row_of_text_counts_the_likelihood_of_a_token_and_weighs_by_tokens() -> None:
    row = text_row((-3.0, -9.0), (2, 3))
    assert row.is_text
    assert (row.outcomes.size, row.margins) == (0, None)
    assert row.example_scores.tolist() == [-1.5, -3.0]
    assert row.example_weights is not None
    assert row.example_weights.tolist() == [2.0, 3.0]
    assert (row.score("nll"), row.goodness("nll")) == (2.4, -2.4)


def test_a_row_of_answers_counts_right_and_wrong_all_alike() -> None:
    row = stored_row()
    assert not row.is_text
    assert (row.example_scores.tolist(), row.example_weights) == ([1.0, 0.0], None)
    assert row.goodness("accuracy") == row.score("accuracy")
