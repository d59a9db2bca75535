"""Watching a study: what another process says of it, in processes of their own, ended with real signals."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.watcher import Watcher
from clipsweep.trials.base.errors import StoreError
from tests.analysis.watch import watch_files
from tests.orchestrator.commands.typed import runner

HOLD = """
import sys, time
from pathlib import Path
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.live import write_live
from tests.orchestrator.status.test_live import make_live
folder = StudyFolder(Path(sys.argv[1]))
with study_lock(folder):
    write_live(folder.status, make_live(waits_for="starting Ray …"))
    print("held", flush=True)
    time.sleep(600)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def launch(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def held(start: Start, finished_study: Path, tmp_path: Path) -> tuple[Path, "subprocess.Popen[str]"]:
    """A study that a process of its own holds, as if it ran it."""
    folder = Path(shutil.copytree(finished_study, tmp_path / "s"))
    holder = start("-c", HOLD, str(folder))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return folder, holder


@pytest.mark.slow
def test_watching_ends_by_itself_when_the_process_is_killed(
    start: Start, held: tuple[Path, "subprocess.Popen[str]"]
) -> None:
    folder, holder = held
    watching = start("-m", "clipsweep", "watch", str(folder))
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert first.startswith("running: 7 of 7 trials")
    assert "starting Ray …" in first
    holder.kill()
    rest, errors = watching.communicate(timeout=60)
    assert (watching.returncode, errors) == (0, "")
    assert rest.startswith("done: 7 of 7 trials")
    assert "best so far: " in rest


@pytest.mark.slow
def test_ctrl_c_ends_watching_without_a_failure(start: Start, held: tuple[Path, "subprocess.Popen[str]"]) -> None:
    folder, holder = held
    watching = start("-m", "clipsweep", "status", str(folder), "--watch")
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert watching.communicate(timeout=60) == ("", "")
    assert (watching.returncode, holder.poll()) == (0, None)


def test_a_study_that_nothing_runs_is_told_once(finished_study: Path) -> None:
    result = runner.invoke(app, ["watch", str(finished_study)])
    assert result.exit_code == 0
    assert result.stdout.startswith("done: 7 of 7 trials")


@pytest.mark.parametrize("command", [["watch"], ["status", "--watch"]])
def test_where_no_study_is_watching_is_refused(command: list[str], tmp_path: Path) -> None:
    result = runner.invoke(app, [*command, str(tmp_path / "none")])
    assert (result.exit_code, "holds no study" in result.stderr) == (2, True)


def test_watching_prints_no_json(finished_study: Path) -> None:
    result = runner.invoke(app, ["status", str(finished_study), "--watch", "--json"])
    assert (result.exit_code, "give one of the two" in result.stderr) == (2, True)


def test_what_was_read_is_not_read_again(finished_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = watch_files(monkeypatch)
    watcher = Watcher(finished_study)
    watcher.look()
    first = list(names)
    watcher.look()
    assert first
    assert names == first


def test_a_study_that_is_removed_while_it_is_watched_is_said_to_be_gone(finished_study: Path, tmp_path: Path) -> None:
    folder = StudyFolder(Path(shutil.copytree(finished_study, tmp_path / "s")))
    watcher = Watcher(folder.path)
    watcher.look()
    shutil.rmtree(folder.path)
    with pytest.raises(StoreError, match="is gone"):
        watcher.look()
