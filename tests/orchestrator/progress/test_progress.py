"""What a run shows: in lines, and in a notebook, which is played by the two modules that rich asks for there."""

import builtins
import io
import re
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

import clipsweep
from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.goal import Goal, Pace
from clipsweep.orchestrator.progress.left import ListedLeft
from clipsweep.orchestrator.progress.progress import Progress
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.live import read_live
from clipsweep.orchestrator.study.check import check_study

MakeStudy = Callable[..., dict[str, Any]]


class ZMQInteractiveShell:
    """The class by whose name rich knows a notebook."""


class Output:
    """A widget that shows what is printed inside it."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def clear_output(self, *, wait: bool) -> None: ...


def add_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(attributes, __spec__=ModuleSpec(name, None))
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook displays, one after the other."""
    displayed: list[Any] = []
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    add_module(monkeypatch, "IPython")
    add_module(monkeypatch, "IPython.display", display=displayed.append)
    return displayed


def texts(shown: list[Any]) -> str:
    return "".join(each.text for each in shown if not isinstance(each, Output))


def test_a_notebook_shows_progress_in_lines(shown: list[Any], make_study: MakeStudy, tmp_path: Path) -> None:
    clipsweep.run(make_study(), dir=tmp_path / "s")
    assert "1 replica: in-process on cpu\n" in texts(shown)
    assert "/5 trials, " in texts(shown)


def test_a_notebook_with_widgets_shows_a_bar_up_to_its_end(
    shown: list[Any], make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_module(monkeypatch, "ipywidgets", Output=Output)
    study = clipsweep.run(make_study(), dir=tmp_path / "s")
    assert sum(isinstance(each, Output) for each in shown) == 1
    total = study.status()["total"]
    assert f"{total}/{total}" in texts(shown)


def test_a_kernel_without_ipython_runs_without_showing_anything(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert clipsweep.run(make_study(), dir=tmp_path / "s").status()["state"] == "done"
    assert capfd.readouterr().err == ""


@pytest.fixture
def lines(make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a run prints where there is no terminal, a line for each arrival of results."""
    monkeypatch.setattr("clipsweep.orchestrator.progress.progress.LINE_SECONDS", 0.0)

    def run(**changes: dict[str, Any]) -> str:
        shown = io.StringIO()
        run_study(check_study(make_study(**changes)), tmp_path / "s", cache, Console(file=shown))
        return shown.getvalue()

    return run


def test_trials_are_counted_of_all_that_will_run(lines: Callable[..., str]) -> None:
    shown = lines()
    assert "1/5 trials, " in shown
    assert "2 trials on test: winners and their baselines\n" in shown
    assert "7/7 trials, " in shown


def test_a_race_counts_rows_of_those_it_will_see(lines: Callable[..., str]) -> None:
    shown = lines(search={"race": "halving"}, task={"validation_size": 100})
    counts = re.findall(r"([\d,]+) of some ([\d,]+) rows seen, .* rows/s", shown)
    assert counts
    assert counts[-1][0] == counts[-1][1]
    assert "trials/s" not in shown


def test_a_search_that_stops_by_itself_counts_trials_so_far(lines: Callable[..., str]) -> None:
    shown = lines(search={"driver": "bayes", "sampler": "random", "patience": 3}, task={"test_size": 0})
    assert "1 trial, " in shown
    assert not re.search(r"/\d+ trials|left", shown)


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Progress, io.StringIO]:
    """A run that has not begun, which looks up often, and what it prints."""
    monkeypatch.setattr("clipsweep.orchestrator.progress.progress.TICK_SECONDS", 0.01)
    monkeypatch.setattr("clipsweep.orchestrator.progress.progress.SILENT_SECONDS", 0.05)
    monkeypatch.setattr("clipsweep.orchestrator.progress.progress.FILE_SECONDS", 0.01)
    shown = io.StringIO()
    left = ListedLeft(Amount(trials=9, rows=90, work=9.0), Amount())
    goal = Goal(pace=Pace.TRIALS, known=0, trials=9, left=left)
    (tmp_path / "s").mkdir()
    return Progress(tmp_path / "s" / "status.json", Console(file=shown), goal), shown


def until(holds: Callable[[], bool]) -> None:
    """Wait, for as long as a busy machine may need."""
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_while_nothing_can_run_lines_say_what_is_waited_for(waiting: tuple[Progress, io.StringIO]) -> None:
    progress, shown = waiting
    with progress.shown():
        progress.waits_for("starting Ray …")
        until(lambda: shown.getvalue().count("starting Ray … (0:00 so far)") > 1)


def test_what_is_waited_for_has_a_clock_of_its_own(waiting: tuple[Progress, io.StringIO]) -> None:
    progress, shown = waiting
    progress._counts._began_at -= timedelta(minutes=5)  # the run began long before
    with progress.shown():
        progress.waits_for("the screen …")
        progress.waits_for("1/2 prompt sets screened")
        until(lambda: "1/2 prompt sets screened (0:00 so far)" in shown.getvalue())


def test_while_a_first_trial_runs_lines_say_that_nothing_has_come(
    waiting: tuple[Progress, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsweep.orchestrator.progress.words.QUIET_S", 0.0)
    progress, shown = waiting
    with progress.shown():
        progress.started([{"name": "in-process", "node": "n", "device": "cpu"}])
        progress.finished([], 2, [])
        until(lambda: "0/9 trials, no result for 0:00, waiting for 2 trials" in shown.getvalue())


def test_the_folder_tells_what_is_waited_for_and_afterwards_that_the_run_has_ended(
    waiting: tuple[Progress, io.StringIO], tmp_path: Path
) -> None:
    progress, _ = waiting
    with progress.shown():
        progress.waits_for("starting Ray …")
        during = read_live(tmp_path / "s" / "status.json")
    after = read_live(tmp_path / "s" / "status.json")
    assert during is not None
    assert (during.waits_for, during.ended_at, during.total) == ("starting Ray …", None, 9)
    assert after is not None
    assert after.ended_at is not None


def test_numbers_that_cannot_be_kept_are_warned_of_once_and_the_run_goes_on(
    waiting: tuple[Progress, io.StringIO], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    progress, shown = waiting
    (tmp_path / "s" / "status.json").mkdir()
    with progress.shown():
        progress.waits_for("starting Ray …")
        until(lambda: shown.getvalue().count("so far") > 2)
        progress.finished([], 0, [])
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith("'clipsweep status' tells old numbers: ")


def test_a_folder_that_was_removed_is_not_made_anew(waiting: tuple[Progress, io.StringIO], tmp_path: Path) -> None:
    progress, _ = waiting
    (tmp_path / "s").rmdir()
    with progress.shown():
        progress.waits_for("starting Ray …")
    assert not (tmp_path / "s").exists()
