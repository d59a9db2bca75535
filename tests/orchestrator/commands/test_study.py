import csv
import io
from pathlib import Path

from clipsweep.analysis.row.row import SCHEMA
from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


def test_best_has_the_documented_keys(folder: Path) -> None:
    document = json_of("best", str(folder))
    assert set(document) == {
        "winner", "baseline", "winner_test", "baseline_test", "metric", "score", "spread", "baseline_score",
        "baseline_spread", "test_score", "baseline_test_score", "gain", "trials_considered", "points_considered",
        "by_shots_and_module", "notes", "apply",
    }  # fmt: skip
    assert set(document["gain"]) == {"estimate", "low", "high", "p_value", "split", "metric"}
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
        "state", "done", "running", "partial", "pruned", "failed", "given_up", "total", "total_on_test", "stopped_by",
        "rows", "warnings", "trials_per_second", "seconds_left", "replicas", "lost", "seconds_left_at_most",
        "rows_per_second", "waits_for", "replicas_lost", "last_result_at", "alive", "pid", "host", "began_at",
        "updated_at", "ended_at", "age_s",
    ]  # fmt: skip
    assert runner.invoke(app, ["status", str(folder)]).stdout.startswith("done: ")


def test_report_is_written_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    document = json_of("report", str(folder), "--out", str(tmp_path / "r.html"))
    assert Path(document["report"]).read_text().startswith("<!doctype html>")


def test_the_formats_of_rows_are_named_when_another_is_asked_for(folder: Path) -> None:
    result = runner.invoke(app, ["results", str(folder), "--format", "html"])
    assert result.exit_code == 2
    assert all(name in result.stderr for name in ("table", "csv"))


def test_list_prints_a_line_for_each_study(folder: Path, tmp_path: Path) -> None:
    [document] = json_of("list", str(tmp_path))
    assert (document["dir"], document["name"], document["state"]) == (str(folder), "tiny", "done")
    line = next(line for line in runner.invoke(app, ["list", str(tmp_path)]).stdout.splitlines() if "tiny" in line)
    assert "accuracy" in line


def test_list_says_where_there_is_no_study(tmp_path: Path) -> None:
    result = runner.invoke(app, ["list", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no study below" in result.stderr


def test_a_report_is_not_written_over_a_folder(folder: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["report", str(folder), "--out", str(tmp_path)])
    assert (result.exit_code, "is a folder; expected the path of a file" in result.stderr) == (2, True)
