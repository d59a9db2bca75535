"""A study folder of the version before: a raced grid, with rows of schema version 4."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.open_study import read_settings
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import Trial
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot

STORED = Path(__file__).parents[2] / "fixtures" / "study-0.1.0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return shutil.copytree(STORED, tmp_path / "s")


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """Every trial that a replica evaluates from now on."""
    seen: list[Trial] = []
    evaluate = Replica.evaluate

    def watch(self: Replica, batch: Batch) -> Any:
        seen.extend(batch.trials)
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "evaluate", watch)
    return seen


def resume(folder: Path, cache: Path, **changes: dict[str, Any]) -> dict[str, StoredRow]:
    """Run the study once more with some keys changed; gives the latest rows of validation."""
    content = read_settings(StudyFolder(folder))
    for section, values in changes.items():
        content[section] |= values
    run_study(check_study(content), folder, cache, Console(quiet=True))
    return on_validation(folder)


def on_validation(folder: Path) -> dict[str, StoredRow]:
    return {key: row for key, row in latest_rows(folder).items() if row.split == "validation"}


def rows_seen(rows: Iterable[StoredRow]) -> int:
    return sum(row.n_examples for row in rows)


def rows_evaluated(trials: Iterable[Trial], n_rows: int) -> int:
    """Validation rows of these trials, each counted as often as it was evaluated."""
    spans = [trial.rows or (0, n_rows) for trial in trials if trial.spec.split == "validation"]
    return sum(last - first for first, last in spans)


def test_its_winner_is_the_one_that_it_had() -> None:
    words = describe_winner(take_snapshot(STORED).standings)
    winner = (
        "winner    the untouched model, 4 shots: accuracy 0.8833 on validation, best of 13 points "
        "(13 trials, 10 stopped early)\n"
    )
    assert words.startswith(winner)
    assert "accuracy +0.0 points on test (0.8500 against 0.8500" in words


def test_its_status_is_the_one_that_it_had() -> None:
    status = status_of(STORED)
    counts = {key: status[key] for key in ("state", "done", "partial", "pruned", "failed", "total")}
    assert counts == {"state": "done", "done": 4, "partial": 0, "pruned": 10, "failed": 0, "total": 14}


@pytest.mark.parametrize("command", ["status", "best", "results", "report"])
def test_every_command_reads_it(folder: Path, command: str) -> None:
    for extra in ([], ["--json"]):
        result = CliRunner().invoke(app, [command, str(folder), *extra])
        assert result.exit_code == 0, result.output


def test_its_report_tells_what_is_stored(folder: Path) -> None:
    CliRunner().invoke(app, ["report", str(folder)])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "13 of 13 points evaluated" in page
    assert "Rows that each trial has seen" in page


def test_run_as_it_is_it_evaluates_nothing(folder: Path, cache: Path, evaluated: list[Trial]) -> None:
    before = on_validation(folder)
    assert resume(folder, cache) == before
    assert evaluated == []


def test_with_more_clip_rates_only_rows_that_no_trial_has_seen_are_evaluated(
    folder: Path, cache: Path, evaluated: list[Trial]
) -> None:
    before = on_validation(folder)
    after = resume(folder, cache, space={"clip_rates": [0.0, 0.5, 0.75, 0.9, 0.95]})
    assert {row.clip_rate for key, row in after.items() if key not in before} == {0.75}
    assert len(after) == len(before) + 4
    assert rows_evaluated(evaluated, 120) == rows_seen(after.values()) - rows_seen(before.values())
    assert TrialState.PARTIAL not in {row.state for row in after.values()}


def test_without_the_race_it_goes_on_from_the_trials_that_were_stopped(
    folder: Path, cache: Path, evaluated: list[Trial]
) -> None:
    before = on_validation(folder)
    after = resume(folder, cache, search={"race": None})
    begun = {trial.trial_id: trial.rows for trial in evaluated if trial.spec.split == "validation"}
    stopped = {key: row for key, row in before.items() if row.state is TrialState.PRUNED}
    assert len(stopped) > 0
    assert begun == {key: (row.n_examples, 120) for key, row in stopped.items()}
    assert {row.state for row in after.values()} == {TrialState.COMPLETE}
    assert all(np.array_equal(after[key].outcomes[: row.n_examples], row.outcomes) for key, row in stopped.items())


def test_a_race_that_was_cut_off_in_it_comes_to_the_same_end(folder: Path, cache: Path, evaluated: list[Trial]) -> None:
    whole = on_validation(folder)
    (folder / "end.json").unlink()
    for path in sorted((folder / "trials").iterdir())[
        4:
    ]:  # the first hold the first part of each trial, and all parts of the untouched model
        path.unlink()
    before = on_validation(folder)
    after = resume(folder, cache)
    assert {key: row.n_examples for key, row in after.items()} == {key: row.n_examples for key, row in whole.items()}
    assert rows_evaluated(evaluated, 120) == rows_seen(after.values()) - rows_seen(before.values()) > 0
