from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.trials.base.errors import StudyError
from tests.analysis.store.rows import failed_record, stored_record
from tests.orchestrator.folder.made_up import open_made_up, trial_ids

MakeStudy = Callable[..., dict[str, Any]]


@pytest.fixture
def opened(make_study: MakeStudy, tmp_path: Path) -> OpenStudy:
    """The untouched model and two clips of one layer, on one seed."""
    return open_made_up(make_study(space={"layers": [0], "clip_rates": [0.5, 0.9]}), tmp_path)


def test_a_snapshot_stays_as_it_is_while_rows_are_stored(opened: OpenStudy) -> None:
    opened.table.append([stored_record("a")])
    snapshot = Snapshot.take(opened)
    opened.table.append([stored_record("b")])
    assert (list(snapshot.rows), len(snapshot.history)) == (["a"], 1)
    assert list(Snapshot.take(opened).rows) == ["a", "b"]


@pytest.mark.parametrize("named", ["ab12", "ab1", "c"])
def test_a_trial_is_found_by_its_identity_or_how_that_begins(opened: OpenStudy, named: str) -> None:
    opened.table.append([stored_record("ab12"), stored_record("ab34"), stored_record("c")])
    assert Snapshot.take(opened).find(named).trial_id.startswith(named)


@pytest.mark.parametrize(
    ("named", "words"),
    [("ab", "2 trials of .* begin with 'ab'"), ("abc12", "Did you mean 'ab12'"), ("", "no trial ''")],
)
def test_a_trial_that_is_none_or_several_is_refused(opened: OpenStudy, named: str, words: str) -> None:
    opened.table.append([stored_record("ab12"), stored_record("ab34"), stored_record("c")])
    with pytest.raises(StudyError, match=words):
        Snapshot.take(opened).find(named)


def test_what_follows_from_the_rows_is_found_once(opened: OpenStudy) -> None:
    snapshot = Snapshot.take(opened)
    assert snapshot.rows is snapshot.rows
    assert snapshot.standings is snapshot.standings
    assert snapshot.standings.rows is snapshot.rows


def test_rows_call_for_all_seeds_of_their_points_and_for_the_baselines(make_study: MakeStudy, tmp_path: Path) -> None:
    space = {"layers": [0], "clip_rates": [0.5, 0.9], "demo_seeds": [0, 1]}
    opened = open_made_up(make_study(space=space), tmp_path)
    base, first, second, other_base, other_first, _ = trial_ids(opened)
    opened.table.append([stored_record(first)])
    assert Snapshot.take(opened).searched == {base, first, other_base, other_first}
    assert second not in Snapshot.take(opened).searched


def test_rows_call_for_the_winner_so_far_and_its_baseline_on_test(opened: OpenStudy) -> None:
    base, first, second = trial_ids(opened)
    right = {base: (True, False, False), first: (True, True, True), second: (True, True, False)}
    opened.table.append([stored_record(key, outcomes=outcomes) for key, outcomes in right.items()])
    assert Snapshot.take(opened).tested == {*trial_ids(opened, "test")[:2]}


def test_of_failed_trials_those_count_that_are_called_for_and_have_not_run_since(opened: OpenStudy) -> None:
    base, first, second = trial_ids(opened)
    records = [failed_record(trial_id=key) for key in (first, second, "of another space")]
    opened.table.append([stored_record(base), *records, stored_record(second, attempt=2)])
    assert [row.trial_id for row in Snapshot.take(opened).failed] == [first]
