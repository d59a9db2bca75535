from typing import Any

import pyarrow as pa
import pytest

from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.check_rows import find_problems
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import failed_record, stored_record

CLIP = {"layer": 0, "module": "mlp", "clip_rate": 0.5, "kind": "svd", "options": None}
OUTCOMES = (True, False, True, True, False, True, True, True, True, True)  # more than one byte holds


def wrong_in(table: pa.Table) -> dict[str, list[bool]]:
    return {problem.what: problem.rows.tolist() for problem in find_problems(table)}


def test_rows_that_a_run_stores_have_no_problem() -> None:
    states = [stored_record(state.value, state=state) for state in TrialState if state.has_scores]
    assert wrong_in(make_table([*states, failed_record(), stored_record(outcomes=OUTCOMES)], SCHEMA)) == {}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"trial_id": None}, "no trial_id"),
        ({"clips": None}, "no clips"),
        ({"state": "done"}, "an unknown state"),
        ({"split": "train"}, "an unknown split"),
        ({"attempt": 0}, "attempt outside 1 to inf"),
        ({"accuracy": 1.5}, "accuracy outside 0 to 1"),
        ({"accuracy": float("nan")}, "accuracy outside 0 to 1"),
        ({"accuracy": None}, "a state that has scores, and none of them"),
        ({"accuracy": 0.75}, "an accuracy that is not the mean of the outcomes"),
        ({"state": "failed"}, "scores although the trial failed"),
        ({"state": "partial"}, "a part of a trial and no tally, or a damaged one"),
        ({"n_examples": 99}, "outcomes of another number of examples"),
        ({"margins": b"123"}, "margins of another number of examples"),
        ({"loglikelihoods": b"123"}, "loglikelihoods of another number of examples"),
        ({"tokens": b"123"}, "tokens of another number of examples"),
        ({"perplexity": -1.0}, "perplexity outside 0 to 1.79769e+308"),
        ({"parameters_kept": 11}, "more parameters kept than there are"),
        ({"clips": [CLIP | {"module": "mpl"}]}, "a clip that there cannot be"),
        ({"clips": [CLIP | {"clip_rate": 1.0}]}, "a clip that there cannot be"),
        ({"clips": [CLIP | {"layer": None}]}, "a clip that there cannot be"),
        ({"clips": [CLIP, CLIP | {"kind": None}]}, "a clip that there cannot be"),
        ({"clips": [CLIP | {"options": '{"seed": 1}'}]}, "a clip that there cannot be"),
        ({"clips": [CLIP, CLIP | {"kind": "random", "options": '{"seed"'}]}, "a clip that there cannot be"),
    ],
)
def test_a_row_that_cannot_be_is_found_among_others(changes: dict[str, Any], what: str) -> None:
    good = stored_record(outcomes=OUTCOMES)
    table = make_table([good, good | changes, good], SCHEMA)
    assert wrong_in(table)[what] == [False, True, False]
    assert wrong_in(table.slice(1, 1))[what] == [True]  # a slice has an offset into the same bytes


def test_of_a_table_that_lacks_columns_the_others_are_checked() -> None:
    table = make_table([stored_record() | {"state": None}], SCHEMA).select(["trial_id", "state"])
    assert wrong_in(table) == {"no state": [True]}


def test_rows_of_several_chunks_are_numbered_through() -> None:
    tables = [make_table([stored_record() | {"attempt": attempt}], SCHEMA) for attempt in (1, 0, 2)]
    assert wrong_in(pa.concat_tables(tables)) == {"attempt outside 1 to inf": [False, True, False]}


def test_no_rows_have_no_problem() -> None:
    assert wrong_in(make_table([], SCHEMA)) == {}
