"""Studies where text guards answers, or answers text: every surface tells each task in its own metric."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import clipsweep
from clipsweep.analysis.figures.catalogue import make_figures
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.figures import frames_from, write_figures
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.conftest import tiny_study
from tests.orchestrator.stored import latest_rows

SPACE = {"layers": [0, 1], "modules": ["mlp"], "clip_rates": [0.5, 0.9], "shots": [2]}
ANSWERS, TEXT = "episodes", "plain"
UNITS = {ANSWERS: "points", TEXT: "nats per token"}


def run_mixed(model: Path, folder: Path, scored: str) -> Path:
    """Run a study of answers and a text, of which one is scored and the other guards."""
    rows = folder / "rows"
    rows.mkdir()
    lines = [json.dumps({"text": f"the film number {number} was dull " * 6}) for number in range(12)]
    (rows / "train.jsonl").write_text("\n".join(lines) + "\n")
    text = {"name": TEXT, "text": {"path": str(rows), "length": 16}, "validation_size": 6}
    tasks: list[dict[str, Any]] = [{"name": ANSWERS, "validation_size": 20, "test_size": 12}, text]
    weighted = [task | {"weight": int(task["name"] == scored)} for task in tasks]
    guard = {"guard": [{"task": TEXT if scored == ANSWERS else ANSWERS, "lose_at_most": 0.9}]}
    content = tiny_study(model, space=SPACE, search=guard) | {"task": {"weighted": weighted}}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        run_study(check_study(content), folder / "s", folder / "cache", Console(quiet=True))
    return folder / "s"


@pytest.fixture(scope="module", params=[ANSWERS, TEXT])
def scored(request: pytest.FixtureRequest) -> str:
    """The task that is scored; the other one guards."""
    return str(request.param)


@pytest.fixture(scope="module")
def mixed(scored: str, tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that has run to its end, without a warning of numpy; for reading."""
    return run_mixed(tiny_gptj, tmp_path_factory.mktemp(f"mixed-{scored}"), scored)


@pytest.mark.parametrize("task", [ANSWERS, TEXT])
def test_a_trial_of_either_task_is_written_and_told_in_the_metric_of_its_rows(
    task: str, mixed: Path, tmp_path: Path
) -> None:
    rows = [row for row in latest_rows(mixed).values() if row.clips and row.split == "validation"]
    trial = next(row.trial_id for row in rows if row.task == task)
    clipsweep.open_study(mixed).apply(tmp_path / "out", trial=trial)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    metric = "nll" if task == TEXT else "accuracy"
    assert f"| split | rows | {metric} | untouched model | gain in {UNITS[task]}, 95 % interval |" in card


def test_the_card_of_a_winner_has_the_unit_in_each_line(mixed: Path, tmp_path: Path) -> None:
    written = clipsweep.open_study(mixed).apply(tmp_path / "out", check=True)
    assert written["check"]["differ"] == 0
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| split | rows | score | untouched model | gain, 95 % interval |" in card
    for task, metric in ((ANSWERS, "accuracy"), (TEXT, "nll")):
        [line] = [each for each in card.splitlines() if each.startswith(f"| validation of {task} ({metric}) |")]
        assert f" {UNITS[task]} (" in line


def test_the_table_of_results_says_which_task_a_row_is_of(mixed: Path) -> None:
    output = CliRunner().invoke(app, ["results", str(mixed), "--format", "markdown"]).output.splitlines()
    assert output[0].startswith("| task | split |")
    assert {line.split("|")[1].strip() for line in output[2:]} == {ANSWERS, TEXT}


def test_the_report_tells_no_gain_of_a_guard_in_another_metric_and_warns_of_nothing(mixed: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        clipsweep.open_study(mixed).report()


def test_figures_are_drawn_of_what_is_scored_without_the_guard(mixed: Path, scored: str, tmp_path: Path) -> None:
    drawn = {"figure1", "atlas", "search"}
    assert drawn <= write_figures([mixed], out=tmp_path).keys()
    frames = frames_from(clipsweep.load(mixed))
    assert set(frames.trials["task"]) == set(frames.points["task"]) == {scored}
    assert drawn <= {name for name, _ in make_figures(frames)}
