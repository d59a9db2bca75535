from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.status.status import read_status
from clipsweep.orchestrator.status.words import describe_status
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import failed_record, stored_record
from tests.analysis.watch import watch_bootstraps
from tests.orchestrator.folder.made_up import open_made_up, trial_ids

MakeStudy = Callable[..., dict[str, Any]]


@pytest.fixture
def opened(make_study: MakeStudy, tmp_path: Path) -> OpenStudy:
    """The untouched model and four clips of one layer, in a race."""
    space = {"layers": [0], "clip_rates": [0.2, 0.4, 0.6, 0.8]}
    return open_made_up(make_study(space=space, search={"race": "halving"}), tmp_path)


def test_status_measures_no_gain(opened: OpenStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstraps = watch_bootstraps(monkeypatch)
    base, better, *_ = trial_ids(opened)
    opened.table.append([stored_record(base, outcomes=(True, False) * 5), stored_record(better, outcomes=(True,) * 10)])
    snapshot = Snapshot.take(opened)
    read_status(snapshot)
    assert bootstraps == []
    assert snapshot.standings.winner is not None
    assert snapshot.standings.winner.gain.estimate == 0.5  # which somebody asks for here
    assert bootstraps == [10]


def test_each_state_has_a_count_of_its_own(opened: OpenStudy) -> None:
    complete, waiting, stopped, failed, _ = trial_ids(opened)
    opened.table.append(
        [
            stored_record(complete),
            stored_record(waiting, state=TrialState.PARTIAL),
            stored_record(stopped, state=TrialState.PRUNED),
            failed_record(trial_id=failed),
        ]
    )
    status = read_status(Snapshot.take(opened))
    counts = {key: status[key] for key in ("done", "partial", "pruned", "failed", "total")}
    tested = 1  # the untouched model, which is the best so far
    assert counts == {"done": 1, "partial": 1, "pruned": 1, "failed": 1, "total": 5 + tested}
    words = (
        "interrupted: 2 of 6 trials (5 on validation, 1 on test), 1 of them stopped early by the race, "
        "1 part of their rows seen"
    )
    assert describe_status(status).splitlines()[0] == f"{words}, 1 failed"
