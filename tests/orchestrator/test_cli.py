import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import clipsweep
from clipsweep.analysis.store.row import SCHEMA
from clipsweep.orchestrator.cli import app

MakeStudy = Callable[..., dict[str, Any]]
runner = CliRunner()


@pytest.fixture
def study_file(make_study: MakeStudy, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    return path


@pytest.fixture
def folder(study_file: Path, tmp_path: Path) -> Path:
    """The folder of the tiny study, run."""
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "done")])
    assert result.exit_code == 0, result.output
    return tmp_path / "done"


def json_of(*arguments: str) -> Any:
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_run_ends_with_winner_baseline_gain_and_report(study_file: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s")])
    words = [line.split()[0] for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert words[:4] == ["winner", "baseline", "gain", "report"]
    assert "95 % interval" in result.stdout
    assert (tmp_path / "s" / "report.html").is_file()


def test_run_prints_one_json_document_and_nothing_else(study_file: Path, tmp_path: Path) -> None:
    document = json_of("run", str(study_file), "--dir", str(tmp_path / "s"))
    assert (document["state"], document["failed"]) == ("done", 0)


def test_best_has_the_documented_keys(folder: Path) -> None:
    document = json_of("best", str(folder))
    assert set(document) == {
        "winner", "baseline", "winner_test", "baseline_test", "gain", "trials_considered", "by_shots_and_module",
    }  # fmt: skip
    assert set(document["gain"]) == {"estimate", "low", "high", "p_value", "split"}
    assert list(document["winner"]) == SCHEMA.names
    assert document["gain"]["split"] == document["winner_test"]["split"] == "test"
    assert document["trials_considered"] == 5


def test_results_are_the_stored_rows(folder: Path) -> None:
    rows = json_of("results", str(folder))
    assert len(rows) >= 5
    assert all(list(row) == SCHEMA.names for row in rows)
    table = csv.DictReader(io.StringIO(runner.invoke(app, ["results", str(folder), "--format", "csv"]).stdout))
    assert [row["trial_id"] for row in table] == [row["trial_id"] for row in rows]
    assert "complete" in runner.invoke(app, ["results", str(folder)]).stdout


def test_status_has_the_documented_keys(folder: Path) -> None:
    document = json_of("status", str(folder))
    assert list(document) == [
        "state", "done", "running", "partial", "pruned", "failed", "total", "stopped_by", "trials_per_second",
        "seconds_left", "replicas", "warnings",
    ]  # fmt: skip
    assert runner.invoke(app, ["status", str(folder)]).stdout.startswith("done: ")


def test_report_is_written_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    document = json_of("report", str(folder), "--out", str(tmp_path / "r.html"))
    assert Path(document["report"]).read_text().startswith("<!doctype html>")


def test_version_names_ours_where_it_lies_and_what_it_runs_on() -> None:
    result = runner.invoke(app, ["--version"])
    first, second = result.stdout.splitlines()
    assert first == f"clipsweep {clipsweep.__version__} from {Path(clipsweep.__file__).parent}"
    assert all(name in second for name in ("python 3.", "torch ", "transformers ", "ray "))
    assert result.exit_code == 0


def test_the_formats_of_rows_are_named_when_another_is_asked_for(folder: Path) -> None:
    result = runner.invoke(app, ["results", str(folder), "--format", "html"])
    assert result.exit_code == 2
    assert all(name in result.stderr for name in ("table", "csv"))


def test_doctor_looks_at_every_package(cache: Path) -> None:
    names = {check["check"] for check in json_of("doctor")}
    assert {"python", "torch", "ray", "cache", "GPUs", "embedded model"} <= names


def test_a_dry_run_loads_nothing(study_file: Path, tmp_path: Path) -> None:
    document = json_of("run", str(study_file), "--dir", str(tmp_path / "s"), "--dry-run")
    assert document["trials_to_run"] == 5
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "quikstart"], "Did you mean 'quickstart'"),
        (["run", "{study}", "--set", "space.layers=[9]"], "layer 9 does not exist"),
        (["run", "{study}", "--set", "space.clip_rates=[9.5]"], "divided by 10"),
        (["run", "{study}", "--set", "task.validation_size=0"], "an empty split"),
        (["run", "{study}", "--set", "space.shots=[100]"], "need more rows of the class of answer"),
        (["run", "{study}", "--set", "space.shots=[44]"], "model's context is 256"),
        (["run", "{study}", "--set", "model.path=./nowhere"], "no such folder"),
        (["status", "nowhere"], "nowhere holds no study"),
        (["best", "nowhere"], "nowhere holds no study"),
    ],
)
def test_bad_input_exits_with_2_a_message_and_nothing_written(
    study_file: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    filled = [argument.format(study=study_file) for argument in arguments]
    extra = ["--dir", str(tmp_path / "s")] if arguments[0] == "run" else []
    result = runner.invoke(app, [*filled, *extra])
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ")
    assert result.stdout == ""
    assert not (tmp_path / "s").exists()
