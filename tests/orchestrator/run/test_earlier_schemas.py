"""Study folders that earlier versions left, one for each schema version: read, reported, resumed.

Each was made by the last commit that wrote its version: the same grid of layers 0 and 5 at three clip rates. Version 4
is a raced grid, in ``test_older_study.py``. ``schema-3-search`` is a raced search that was cut off.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from clipsweep.analysis.row.row import SCHEMA_VERSION
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.open_study import read_settings
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.result import TrialState
from tests.orchestrator.stored import all_rows, latest_rows, status_of, take_snapshot

FIXTURES = Path(__file__).parents[2] / "fixtures"
CLIPPED = (
    "winner    mlp of layer 0 at clip rate 0.9, 4 shots: accuracy 0.9000 on validation, best of 5 points (5 trials)"
)
WINNERS = {  # as the version itself told it, but for the words
    "schema-1": "winner    the untouched model, 4 shots: accuracy 0.8000 on validation, best of 5 points (5 trials)",
    "schema-2": CLIPPED,
    "schema-3": CLIPPED,
    "schema-5": CLIPPED,
}
SEARCH = "schema-3-search"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the one that the test names."""
    return Path(shutil.copytree(FIXTURES / request.param, tmp_path / "s"))


def resume(folder: Path, cache: Path, **changes: dict[str, Any]) -> None:
    content = read_settings(StudyFolder(folder))
    for section, values in changes.items():
        content[section] |= values
    run_study(check_study(content), folder, cache, Console(quiet=True))


@pytest.mark.parametrize("name", WINNERS)
def test_its_rows_count_and_its_winner_is_the_one_that_it_had(name: str) -> None:
    assert describe_winner(take_snapshot(FIXTURES / name).standings).splitlines()[0] == WINNERS[name]
    status = status_of(FIXTURES / name)
    assert (status["state"], status["done"], status["total"]) == (
        "done",
        len(all_rows(FIXTURES / name)),
        status["done"],
    )


@pytest.mark.parametrize("folder", [*WINNERS, SEARCH], indirect=True)
def test_every_command_reads_it(folder: Path) -> None:
    for command in ("status", "best", "results", "report", "list"):
        result = CliRunner().invoke(app, [command, str(folder.parent if command == "list" else folder)])
        assert result.exit_code == 0 or "no winner yet" in result.stderr, result.output


@pytest.mark.parametrize("folder", ["schema-2", "schema-3", "schema-5"], indirect=True)
def test_resumed_with_another_clip_rate_it_runs_only_what_is_new(folder: Path, cache: Path) -> None:
    before = {row.trial_id: row for row in all_rows(folder)}
    resume(folder, cache, space={"clip_rates": [0.0, 0.5, 0.75, 0.9]})
    after = list(all_rows(folder))
    new = [row for row in after if row.trial_id not in before]
    assert {(row.layer, row.clip_rate) for row in new} == {(0, 0.75), (5, 0.75)}
    assert len(after) == len(before) + len(new)
    assert all(row == before[row.trial_id] for row in after if row.trial_id in before)


@pytest.mark.parametrize("folder", ["schema-1"], indirect=True)
def test_a_run_into_rows_whose_task_is_identified_otherwise_is_refused(folder: Path, cache: Path) -> None:
    before = list(all_rows(folder))
    with pytest.raises(StudyError, match="task_fingerprint: stored 'b1bc9fec042f.*', asked for"):
        resume(folder, cache)
    assert list(all_rows(folder)) == before


@pytest.mark.parametrize("folder", [SEARCH], indirect=True)
def test_a_raced_search_that_was_cut_off_goes_on_from_its_rows(folder: Path, cache: Path) -> None:
    before = latest_rows(folder)
    seen = {key: row.n_examples for key, row in before.items()}
    attempts = list(all_rows(folder))
    assert {row.state for row in before.values()} == {TrialState.PRUNED}  # as version 3 says that trials wait
    resume(folder, cache)
    after = latest_rows(folder)
    assert list(all_rows(folder))[: len(attempts)] == attempts
    assert all(after[key].n_examples >= count for key, count in seen.items())
    assert SCHEMA_VERSION in {row.schema_version for row in after.values()}
    assert status_of(folder)["state"] == "done"


@pytest.mark.parametrize("folder", ["schema-2", "schema-5"], indirect=True)
def test_its_trials_are_measured_afterwards(folder: Path, cache: Path) -> None:
    before = [row.record() for row in all_rows(folder)]
    content = read_settings(StudyFolder(folder)) | {"theory": True}
    run_study(check_study(content), folder, cache, Console(quiet=True))
    assert [row.record() for row in all_rows(folder)] == before
    assert all(row.implicit is not None for row in take_snapshot(folder).rows.values())
