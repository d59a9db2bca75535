import csv
import io
import json
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sort", "acuracy"], "Did you mean 'accuracy'"),
        (["--where", "shot=10"], "Did you mean 'shots'"),
        (["--json", "--format", "csv"], "contradict each other"),
        (["--top", "0"], "'0'; expected a whole number of 1 or more"),
    ],
)
def test_what_cannot_be_chosen_is_refused(finished_study: Path, options: list[str], words: str) -> None:
    result = runner.invoke(app, ["results", str(finished_study), *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
