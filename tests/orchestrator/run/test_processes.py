"""Real processes, killed with real signals."""

import json
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

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.spec.result import TrialState
from tests.orchestrator.stored import all_rows, status_of

pytestmark = pytest.mark.slow
MakeStudy = Callable[..., dict[str, Any]]
RATES = [round(0.02 * step, 2) for step in range(48)]


@pytest.fixture
def command(make_study: MakeStudy, tmp_path: Path) -> list[str]:
    """Run a study of some hundred trials, which take seconds, in its own process, without Ray."""
    space = {"clip_rates": RATES, "modules": ["mlp", "attn"]}
    content = make_study(space=space, task={"validation_size": 1200, "test_size": 20})
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(content))
    executable = Path(sys.executable).parent / "clipsweep"
    return [str(executable), "run", str(tmp_path / "long.yaml"), "--dir", str(tmp_path / "s")]


@pytest.fixture
def start(command: list[str]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start the command; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def launch() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.communicate()


def hear_interrupts() -> None:
    """Whoever runs the tests in the background has the shell ignore Ctrl-C for them, and so for what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_rows(folder: Path, count: int, limit_s: int = 60) -> None:
    for _ in range(20 * limit_s):
        if len(all_rows(folder)) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} rows in time")


def rows_by_attempt(folder: Path) -> dict[str, list[int]]:
    attempts: dict[str, list[int]] = {}
    for row in all_rows(folder):
        attempts.setdefault(row.trial_id, []).append(row.attempt)
    return attempts


def test_a_killed_study_holds_no_lock_and_runs_only_its_missing_trials(
    start: Callable[[], subprocess.Popen[str]], command: list[str], tmp_path: Path
) -> None:
    process = start()
    wait_for_rows(tmp_path / "s", 5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows_by_attempt(tmp_path / "s")
    subprocess.run(command, check=True, capture_output=True)
    after = rows_by_attempt(tmp_path / "s")
    assert 5 <= len(before) < len(after)
    assert all(attempts == [1] for attempts in after.values())
    assert set(before) <= set(after)


def test_a_killed_composition_ends_as_one_that_was_not_killed(
    start: Callable[[], subprocess.Popen[str]], command: list[str], tmp_path: Path
) -> None:
    content = yaml.safe_load((tmp_path / "long.yaml").read_text())
    content["search"] = {"driver": "compose"}
    content["space"]["clip_rates"] = RATES[8::8]
    content["task"]["validation_size"] = 600
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(content))
    process = start()
    wait_for_rows(tmp_path / "s", 8)  # in the second of four steps
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows_by_attempt(tmp_path / "s")
    subprocess.run(command, check=True, capture_output=True)
    run_study(check_study(content), tmp_path / "whole", tmp_path / "cache", Console(quiet=True))
    after = rows_by_attempt(tmp_path / "s")
    assert 8 <= len(before) < len(after)
    assert after == rows_by_attempt(tmp_path / "whole")
    assert all(attempts == [1] for attempts in after.values())


def test_an_interrupt_stores_what_ran_says_how_to_resume_and_exits_130(
    start: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start()
    wait_for_rows(tmp_path / "s", 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Resume with: clipsweep run" in errors
    status = subprocess.run(
        [str(Path(sys.executable).parent / "clipsweep"), "status", str(tmp_path / "s"), "--json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    document = json.loads(status.stdout)
    assert document["state"] == "interrupted"
    assert document["done"] == len(rows_by_attempt(tmp_path / "s")) < document["total"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("reading study", "interrupted"),
        ("looking at", "interrupted"),
        ("checking the prompts", "interrupted"),
        (
            "loading the model",
            "interrupted before the first trial; nothing was stored. Run it again with: clipsweep run",
        ),
    ],
    ids=["reading", "looking", "checking", "loading"],
)
def test_an_interrupt_before_anything_runs_ends_with_one_line(
    said: str, words: str, start: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start()
    assert process.stderr is not None
    while said not in process.stderr.readline():  # while modules load, names are looked up, or the model is
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    answer, errors = process.communicate(timeout=60)
    told = [line for line in errors.splitlines() if not line.endswith("…")]
    assert process.returncode == 130
    assert len(told) == 1
    assert told[0].startswith(words)
    assert answer == ""  # no winner, and no report: there is none
    assert not (tmp_path / "s").exists()


def test_an_interrupt_of_the_first_moment_ends_with_one_line(start: Callable[[], subprocess.Popen[str]]) -> None:
    process = start()
    time.sleep(0.2)  # while the command line itself is loaded
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors


@pytest.mark.ray
def test_an_interrupt_from_the_terminal_ends_a_ray_run_in_order(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
    process = subprocess.Popen(
        [*command, "--replicas", "1"], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        wait_for_rows(tmp_path / "s", 3)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches every process of the terminal, Ray's too
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    rows = all_rows(tmp_path / "s")
    assert process.returncode == 130
    assert "Resume with: clipsweep run" in errors
    assert {row.state for row in rows} == {TrialState.COMPLETE}


def test_a_running_study_says_so_and_refuses_a_second_process_and_a_killed_one_says_so_too(
    start: Callable[[], subprocess.Popen[str]], command: list[str], tmp_path: Path
) -> None:
    process = start()
    wait_for_rows(tmp_path / "s", 1)
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert f"is being run by process {process.pid}" in second.stderr.replace("\n", " ")
    assert process.poll() is None
    running = status_of(tmp_path / "s")
    process.kill()
    process.wait()
    killed = status_of(tmp_path / "s")
    assert [(each["state"], each["alive"], each["pid"]) for each in (running, killed)] == [
        ("running", True, process.pid), ("interrupted", False, process.pid),
    ]  # fmt: skip
