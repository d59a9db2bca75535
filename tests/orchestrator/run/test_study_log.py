"""What a run warns of, on the screen, in the study's log and in its status."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from clipsweep.cluster.replica_warnings import log_again
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.log_file import SHOWN, last_warnings
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.run.study_log import recorded_warnings
from clipsweep.orchestrator.status.status import read_status
from clipsweep.orchestrator.study.check import check_study
from tests.cluster.pool_contract import damage_factors

MakeStudy = Callable[..., dict[str, Any]]
log = logging.getLogger("clipsweep.tests")


def record(folder: Path, *texts: str) -> list[str]:
    """Warn of each text in turn; gives what the user was shown."""
    shown: list[str] = []
    with recorded_warnings(StudyFolder(folder), shown.append):
        for text in texts:
            log.warning(text)
    return shown


def test_each_warning_is_a_line_with_its_date(tmp_path: Path) -> None:
    record(tmp_path, "memory is short\nby 3 bytes", "memory is short")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  ", "", line) for line in lines] == [
        "memory is short by 3 bytes",
        "memory is short",
    ]


def test_the_same_text_from_several_replicas_is_shown_once_and_written_for_each(tmp_path: Path) -> None:
    shown: list[str] = []
    with recorded_warnings(StudyFolder(tmp_path), shown.append):
        for number in range(8):
            log_again(f"replica-{number}", ("memory is short", f"replica {number} is slow")[: 1 + number // 7])
    assert shown == ["warning: replica-0: memory is short", "warning: replica-7: replica 7 is slow"]
    assert [line.partition("  ")[2] for line in (tmp_path / "log.txt").read_text().splitlines()] == [
        *(f"replica-{number}: memory is short" for number in range(8)),
        "replica-7: replica 7 is slow",
    ]


def test_a_warning_is_on_disk_as_soon_as_it_is_given(tmp_path: Path) -> None:
    with recorded_warnings(StudyFolder(tmp_path), lambda line: None):
        log.warning("memory is short")
        assert len(last_warnings(StudyFolder(tmp_path))) == 1  # a process that is killed here has lost nothing


def test_nothing_is_recorded_outside_a_run_nor_below_a_warning(tmp_path: Path) -> None:
    with recorded_warnings(StudyFolder(tmp_path), lambda line: None):
        log.info("a file was deleted")
    log.warning("memory is short")
    assert not (tmp_path / "log.txt").exists()
    assert last_warnings(StudyFolder(tmp_path)) == []


def test_the_last_ten_warnings_of_all_runs_are_told(tmp_path: Path) -> None:
    for run in range(3):
        record(tmp_path, *(f"warning {number} of run {run}" for number in range(5)))
    told = [line.partition("  ")[2] for line in last_warnings(StudyFolder(tmp_path))]
    assert told == [f"warning {number} of run {run}" for run in (1, 2) for number in range(5)]
    assert len(told) == SHOWN


def test_a_log_that_cannot_be_written_is_reported_in_words_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.txt").mkdir()
    said, told = record(tmp_path, "memory is short")
    assert said == "warning: memory is short"
    assert told.endswith("log.txt failed: it is a folder. Give the path of a file.")
    assert "Traceback" not in capsys.readouterr().err


def test_a_warning_of_a_replica_is_shown_logged_and_in_the_status_after_the_run(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    content, console = make_study(), Console(record=True, quiet=False)
    damage_factors(Path(content["model"]["path"]), cache, "transformer.h.0.mlp.fc_in.weight")
    run_study(check_study(content), tmp_path / "s", cache, console)
    found = "the factors of layer 0 fc_in (transformer.h.0.mlp.fc_in.weight) in"
    assert console.export_text().count(f"warning: {found}") == 1
    warnings = read_status(Snapshot.take(reopen(tmp_path / "s")))["warnings"]
    assert warnings == (tmp_path / "s" / "log.txt").read_text().splitlines()
    assert found in warnings[0]
    printed = CliRunner().invoke(app, ["status", str(tmp_path / "s")]).stdout
    assert f"last warnings (all are in the study's log.txt):\n  {warnings[0]}\n" in printed
