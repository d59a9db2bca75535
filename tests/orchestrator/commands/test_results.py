import csv
import io
import json
import sys
from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


def printed(*arguments: str) -> str:
    result = runner.invoke(app, ["results", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_conditions_order_and_number_of_rows_are_chosen(finished_study: Path) -> None:
    rows = json_of("results", str(finished_study), "--where", "split=validation", "--sort", "-accuracy", "--top", "2")
    assert len(rows) == 2
    assert rows[0]["accuracy"] >= rows[1]["accuracy"]
    assert {row["split"] for row in rows} == {"validation"}


def test_every_format_holds_the_same_rows(finished_study: Path) -> None:
    folder = str(finished_study)
    ids = [row["trial_id"] for row in json_of("results", folder)]
    assert [row["trial_id"] for row in csv.DictReader(io.StringIO(printed(folder, "--format", "csv")))] == ids
    assert [json.loads(line)["trial_id"] for line in printed(folder, "--format", "jsonl").splitlines()] == ids
    assert [row["trial_id"] for row in json.loads(printed(folder, "--format", "json"))] == ids


def test_markdown_is_a_table_with_a_line_for_each_row(finished_study: Path) -> None:
    lines = printed(str(finished_study), "--format", "markdown", "--where", "split=validation").splitlines()
    assert lines[0].startswith("| split | shots | ")
    assert set(lines[1]) == set("| -")
    assert len(lines) == 2 + 5


def test_a_column_that_rows_are_sorted_by_is_shown(finished_study: Path) -> None:
    assert "macro_f1" in printed(str(finished_study), "--format", "markdown", "--sort", "macro_f1").splitlines()[0]


QUESTION = "SELECT module, max(gain) AS gain, list(clip_rate) AS rates FROM points GROUP BY module ORDER BY module"


def test_a_question_in_sql_is_answered_in_every_format(finished_study: Path) -> None:
    folder = str(finished_study)
    found = json_of("results", folder, "--sql", QUESTION)
    assert [row["module"] for row in found] == ["mlp", None]
    lines = printed(folder, "--sql", QUESTION, "--format", "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == found
    (clipped, _) = csv.DictReader(io.StringIO(printed(folder, "--sql", QUESTION, "--format", "csv")))
    assert json.loads(clipped["rates"]) == found[0]["rates"]
    assert printed(folder, "--sql", QUESTION, "--format", "markdown").startswith("| module | gain | rates |\n| --- ")
    assert "mlp" in printed(folder, "--sql", QUESTION)


def test_the_trials_of_a_question_in_sql_are_the_stored_ones(finished_study: Path) -> None:
    names = ["trial_id", "clips", "accuracy", "margins"]
    found = json_of("results", str(finished_study), "--sql", f"SELECT {', '.join(names)} FROM trials")
    assert found == [{name: row[name] for name in names} for row in json_of("results", str(finished_study))]


def test_values_of_any_kind_are_printed(finished_study: Path) -> None:
    question = "SELECT 'nan'::DOUBLE AS n, 1.5::DECIMAL(3,1) AS d, DATE '2026-01-02' AS day, {'a': [1]} AS s"
    found = json_of("results", str(finished_study), "--sql", question)
    assert found == [{"n": None, "d": 1.5, "day": "2026-01-02", "s": {"a": [1]}}]


def test_without_duckdb_it_is_said_how_to_install_it(finished_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = runner.invoke(app, ["results", str(finished_study), "--sql", "SELECT 1"])
    assert result.exit_code == 2
    assert "not installed. Install it with: pip install 'clipsweep[sql]'" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sort", "acuracy"], "Did you mean 'accuracy'"),
        (["--where", "shot=10"], "Did you mean 'shots'"),
        (["--json", "--format", "csv"], "contradict each other"),
        (["--sql", "SELECT nope FROM trials"], 'cannot be answered: Binder Error: Referenced column "nope" not found'),
        (["--sql", "SELCT 1"], 'syntax error at or near "SELCT". The tables are trials and points.'),
        (["--sql", "DROP TABLE trials"], "is no single SELECT, which is expected"),
        (["--sql", "SELECT 1; SELECT 2"], "is no single SELECT, which is expected"),
        (["--sql", "SELECT * FROM read_csv('/etc/hostname')"], "Permission Error"),
        (["--sql", "SELECT 1", "--top", "3"], "leave out --where, --sort and --top"),
        (["--top", "0"], "'0'; expected a whole number of 1 or more"),
    ],
)
def test_what_cannot_be_chosen_is_refused(finished_study: Path, options: list[str], words: str) -> None:
    result = runner.invoke(app, ["results", str(finished_study), *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
