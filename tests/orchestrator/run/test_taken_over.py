"""A driver that is stopped in the middle of a call, loses its study to another, and wakes."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.lock import read_holder
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import all_rows, latest_rows, status_of

pytestmark = pytest.mark.slow
MakeStudy = Callable[..., dict[str, Any]]
Start = Callable[..., subprocess.Popen[str]]

# The command line, which stops itself as it is about to make the n-th call of a kind on a file of some name.
STOPPING = """
import os, signal, sys
kind, name, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
call = getattr(os, kind)

def stopping(*arguments):
    global left
    if os.path.basename(arguments[-1]).startswith(name):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
    return call(*arguments)

setattr(os, kind, stopping)
sys.argv = ["clipsweep", *sys.argv[4:]]
from clipsweep.__main__ import main
main()
"""


@pytest.fixture
def start(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Run the tiny study in a process of its own, until it is about to make a call; there it is stopped."""
    monkeypatch.setenv("CLIPSWEEP_BEAT_SECONDS", "0.1")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(make_study()))
    started: list[subprocess.Popen[str]] = []

    def launch(kind: str, name: str, count: int) -> subprocess.Popen[str]:
        call = [kind, name, str(count), "run", str(tmp_path / "tiny.yaml"), "--dir", str(tmp_path / "s")]
        process = subprocess.Popen([sys.executable, "-c", STOPPING, *call], stderr=subprocess.PIPE, text=True)
        started.append(process)
        wait_until_paused(StudyFolder(tmp_path / "s"), process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.communicate()


def wait_until_paused(folder: StudyFolder, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while (holder := read_holder(folder)) is None or not holder.paused:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    assert holder.pid == process.pid


@pytest.mark.parametrize(
    ("kind", "name", "count", "set_aside"),
    [
        ("replace", "part-", 2, 1),  # between the check and the rename of its rows
        ("unlink", "part-", 1, 0),  # between the check and the removal of what it has merged
    ],
)
def test_a_driver_that_wakes_after_another_took_over_does_no_harm(
    kind: str, name: str, count: int, set_aside: int, start: Start, make_study: MakeStudy, tmp_path: Path, cache: Path,
    finished_study: Path,
) -> None:  # fmt: skip
    first, said = start(kind, name, count), io.StringIO()
    run_study(check_study(make_study()), tmp_path / "s", cache, Console(file=said))
    os.kill(first.pid, signal.SIGCONT)
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 1
    assert errors.splitlines()[-1].startswith(f"error: {tmp_path / 's'} was taken over by process {os.getpid()} on")
    assert "Traceback" not in errors
    assert f"process {first.pid}" in said.getvalue()
    assert stable(latest_rows(tmp_path / "s")) == stable(latest_rows(finished_study))
    assert [row.attempt for row in all_rows(tmp_path / "s")] == [1] * len(latest_rows(finished_study))
    assert len(ResultsTable(tmp_path / "s" / "trials").set_aside()) == set_aside
    assert status_of(tmp_path / "s")["state"] == "done"
