from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.commands.run import words_of_retry
from tests.orchestrator.commands.typed import json_of, runner

MakeStudy = Callable[..., dict[str, Any]]


def test_run_ends_with_winner_baseline_gain_and_report(study_file: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s")])
    words = [line.split()[0] for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert words == ["winner", "baseline", "gain", "note", "report"]  # the model is random, and so at chance
    assert "95 % interval" in result.stdout
    assert (tmp_path / "s" / "report.html").is_file()


def test_of_several_tasks_each_answer_says_which_it_is_of(make_study: MakeStudy, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    content = make_study(space={"layers": [0], "clip_rates": [0.9]}, task={"validation_size": 4, "test_size": 0})
    del content["task"]["name"]
    file.write_text(yaml.safe_dump(content | {"tasks": ["episodes", "topics"]}))
    result = runner.invoke(app, ["run", str(file), "--dir", str(tmp_path / "s")])
    words = [line.split() for line in result.stdout.splitlines() if line.startswith(("task", "winner"))]
    assert [each[:2] if each[0] == "task" else each[:1] for each in words] == [
        ["task", "episodes"], ["winner"], ["task", "topics"], ["winner"],
    ]  # fmt: skip


def test_run_prints_one_json_document_and_nothing_else(study_file: Path, tmp_path: Path) -> None:
    document = json_of("run", str(study_file), "--dir", str(tmp_path / "s"))
    assert (document["state"], document["failed"]) == ("done", 0)


def test_a_dry_run_loads_nothing(study_file: Path, tmp_path: Path) -> None:
    document = json_of("run", str(study_file), "--dir", str(tmp_path / "s"), "--dry-run")
    assert document["trials_to_run"] == 5
    assert document["expectation"] is None
    assert not (tmp_path / "s").exists()


def test_a_dry_run_of_a_search_tells_what_to_expect(study_file: Path, tmp_path: Path) -> None:
    arguments = ["run", str(study_file), "--dir", str(tmp_path / "s"), "--dry-run"]
    arguments += ["--set", "search.driver=bayes", "--set", "search.n_trials=4"]
    told = json_of(*arguments)["expectation"]
    assert [each["n_trials"] for each in told["budgets"]] == [1, 2, 4]
    words = runner.invoke(app, arguments).stdout
    assert "an expectation, from" in words
    assert words.count(" │ ") == 3 * 6  # three budgets
    assert words.splitlines()[-1] == f"note        {told['unlike'][-1]}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "quikstart"], "Did you mean 'quickstart'"),
        (["run", "{study}", "--set", "space.layers=[9]"], "layer 9 does not exist"),
        (["run", "{study}", "--set", "space.clip_rates=[9.5]"], "divided by 10"),
        (["run", "{study}", "--set", "task.validation_size=0"], "'task.validation_size' is 0"),
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


def test_what_would_be_in_the_way_of_a_report_is_said_before_anything_runs(study_file: Path, tmp_path: Path) -> None:
    (tmp_path / "s" / "report.html").mkdir(parents=True)
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s")])
    assert result.exit_code == 2
    assert "report.html is a folder; expected a file" in result.stderr
    assert not (tmp_path / "s" / "trials").exists()


@pytest.mark.parametrize(
    ("failed", "given_up", "words"),
    [
        (1, 0, "Running again retries it."),
        (3, 0, "Running again retries them."),
        (1, 1, "Replicas died over it again and again; 'run --retry-failed' tries again."),
        (3, 1, "Running again retries them, but for 1 trial over which replicas died: 'run --retry-failed' tries all."),
    ],
)
def test_the_end_of_a_run_says_which_failed_trials_the_next_run_retries(failed: int, given_up: int, words: str) -> None:
    assert words_of_retry(failed, given_up) == words
