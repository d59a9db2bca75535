"""A study of a task of lm-evaluation-harness, from its file to its report: as any other task."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

import clipsweep
from clipsweep.cluster.local_pool import LocalPool
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.run.start_pool import replica_settings
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError, TaskError
from clipsweep.trials.harness import load
from clipsweep.trials.spec.result import TrialState
from tests.conftest import tiny_study, write_rows
from tests.orchestrator.stored import latest_rows
from tests.trials.harness.helpers import TASKS, documents_kept_apart

__all__ = ["documents_kept_apart"]
pytestmark = pytest.mark.slow


def study_of(
    model: Path, name: str, *, metric: str | None = None, folder: Path = TASKS, **sections: dict[str, Any]
) -> Study:
    content = tiny_study(model, **{"space": {"shots": None, "clip_rates": [0, 0.9]}, **sections})
    content["task"] = {"lm_eval": {"name": name, "include_path": str(folder), "metric": metric}, "seed": 0}
    return check_study(content)


def run(study: Study, folder: Path) -> None:
    run_study(study, folder, folder.parent / "cache", Console(quiet=True))


@pytest.fixture(autouse=True)
def in_the_folder_of_the_tasks(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Where the paths of their data are from."""
    monkeypatch.chdir(TASKS)


@pytest.mark.parametrize("name", ["clip_random", "clip_blanks", "clip_last_words", "clip_group"])
def test_a_study_runs_and_is_resumed_without_a_trial(name: str, tiny_gptj: Path, tmp_path: Path) -> None:
    study = study_of(tiny_gptj, name)
    run(study, tmp_path / "s")
    rows = latest_rows(tmp_path / "s").values()
    assert {row.state for row in rows} == {TrialState.COMPLETE}
    assert {row.task for row in rows} == {name}
    run(study, tmp_path / "s")
    assert len(latest_rows(tmp_path / "s")) == len(rows)


@pytest.fixture
def many(tiny_gptj: Path, tmp_path: Path) -> Callable[..., Study]:
    """A study of a task with 240 documents, each with demonstrations of its own."""
    content = yaml.safe_load((TASKS / "random.yaml").read_text()) | {"task": "many"}
    content["include"] = str(TASKS / "endings.yaml")
    content["dataset_kwargs"] = {"data_files": {"validation": str(tmp_path / "rows.jsonl")}}
    (tmp_path / "many.yaml").write_text(yaml.safe_dump(content))
    rows = [{"story": f"sail {n} reef", "endings": [f"wave {n}", "old tide"], "right": n % 2} for n in range(240)]
    write_rows(tmp_path / "rows.jsonl", rows)
    space = {"shots": None, "layers": [0, 1], "modules": ["attn", "mlp"], "clip_rates": [0, 0.5, 0.9]}
    return partial(study_of, tiny_gptj, "many", folder=tmp_path, space=space)


def test_a_race_gives_the_numbers_of_a_grid(many: Callable[..., Study], tmp_path: Path) -> None:
    run(many(), tmp_path / "grid")
    run(many(search={"race": "halving"}), tmp_path / "raced")
    whole, parts = latest_rows(tmp_path / "grid"), latest_rows(tmp_path / "raced")
    assert {row.state for row in parts.values()} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial, row in parts.items():
        assert row.outcomes.tolist() == whole[trial].outcomes[: row.n_examples].tolist()


def test_a_screen_looks_at_answers_of_several_lengths(many: Callable[..., Study], tmp_path: Path) -> None:
    run(many(metric="acc_norm", search={"screen": {"rows": 50}}), tmp_path / "s")
    assert (tmp_path / "s" / "screen.parquet").is_file()


def test_a_screen_of_one_answer_alone_is_refused_before_a_model_is_loaded(tiny_gptj: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"'search.screen' predicts .* has one answer .*Remove search.screen"):
        run(study_of(tiny_gptj, "clip_last_words", search={"screen": {}}), tmp_path / "s")


def test_a_kind_of_clip_that_reads_demonstrations_is_refused(tiny_gptj: Path, tmp_path: Path) -> None:
    space = {"shots": None, "clip_rates": [0.5], "kinds": [{"whitened": {"split": "demonstrations"}}]}
    with pytest.raises(TaskError, match="Set its option split: validation"):
        run(study_of(tiny_gptj, "clip_delimiter", space=space), tmp_path / "s")


def test_a_folder_is_read_without_the_harness(tiny_gptj: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(TASKS, tmp_path / "tasks")
    run(study_of(tiny_gptj, "clip_endings", folder=tmp_path / "tasks"), tmp_path / "studies" / "s")
    shutil.rmtree(tmp_path / "tasks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "lm_eval", None)  # not importable
    load._known.cache_clear()
    for command in ("status", "best", "report"):
        result = CliRunner().invoke(app, [command, str(tmp_path / "studies" / "s")])
        assert result.exit_code == 0, result.output
    listed = CliRunner().invoke(app, ["list", str(tmp_path / "studies"), "--json"])
    assert listed.exit_code == 0, listed.output
    assert [each["problem"] for each in json.loads(listed.output)] == [None]


def test_a_study_is_resumed_from_another_directory(
    tiny_gptj: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(TASKS, tmp_path / "mine" / "tasks")
    for rows in (tmp_path / "mine" / "tasks").glob("stories.*"):
        rows.rename(tmp_path / "mine" / rows.name)  # data is from the study's file, not from its YAML file
    content = study_of(tiny_gptj, "clip_endings").model_dump()
    content["task"] = {"lm_eval": {"name": "clip_endings", "include_path": "tasks"}, "seed": 0}
    (tmp_path / "mine" / "study.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path / "mine")
    run(read_studies("study.yaml")[0], tmp_path / "s")
    before = latest_rows(tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    load._known.cache_clear()
    for again in (tmp_path / "mine" / "study.yaml", tmp_path / "s" / "study.yaml"):
        run(read_studies(again)[0], tmp_path / "s")
    assert len(latest_rows(tmp_path / "s")) == len(before)


def test_what_is_told_of_a_finished_study(tiny_gptj: Path, tmp_path: Path) -> None:
    run(study_of(tiny_gptj, "clip_endings", metric="acc_norm"), tmp_path / "s")
    for command in (["report", str(tmp_path / "s")], ["status", str(tmp_path / "s")], ["best", str(tmp_path / "s")]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    row = next(
        row for row in latest_rows(tmp_path / "s").values() if row.layer is not None and row.split == "validation"
    )
    shown = CliRunner().invoke(app, ["flips", str(tmp_path / "s"), row.trial_id, "--json"])
    assert shown.exit_code == 0, shown.output
    for flip in json.loads(shown.stdout)["flips"]:
        assert flip["text"].startswith("how does the story end?")


def test_a_winner_is_applied_and_checked(tiny_gptj: Path, tmp_path: Path) -> None:
    run(study_of(tiny_gptj, "clip_endings", metric="acc_norm"), tmp_path / "s")
    row = next(row for row in latest_rows(tmp_path / "s").values() if row.layer is not None)
    options = ["--trial", row.trial_id, "--out", str(tmp_path / "clipped"), "--check"]
    result = CliRunner().invoke(app, ["apply", str(tmp_path / "s"), *options])
    assert result.exit_code == 0, result.output


def test_a_checkpoint_is_evaluated_on_a_task_of_a_file(tiny_gptj: Path, tmp_path: Path) -> None:
    harness = f"{{name: clip_endings, include_path: {TASKS}, folder: {TASKS}}}"
    (tmp_path / "task.yaml").write_text(f"task:\n  lm_eval: {harness}\n")
    command = ["evaluate", str(tiny_gptj), "--task", str(tmp_path / "task.yaml"), "--split", "test", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["n_examples"] == 8


def test_a_checkpoint_is_evaluated_on_a_task_of_a_section(tiny_gptj: Path) -> None:
    task = {"lm_eval": {"name": "clip_endings", "include_path": str(TASKS), "metric": "acc_norm"}}
    evaluation = clipsweep.evaluate(tiny_gptj, task=task)
    assert [(row.task, row.n_examples) for row in evaluation.rows] == [("clip_endings", 8)]


def test_a_dry_run_tells_what_is_scored_and_how_documents_are_cut(tiny_gptj: Path, tmp_path: Path) -> None:
    study = yaml.safe_load(study_of(tiny_gptj, "clip_endings").to_yaml())
    study["task"]["lm_eval"]["folder"] = str(TASKS)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    result = CliRunner().invoke(app, ["run", str(tmp_path / "study.yaml"), "--dir", str(tmp_path / "s"), "--dry-run"])
    assert result.exit_code == 0, result.output
    told = " ".join((result.stdout + result.stderr).split())
    assert "is the harness's acc" in told
    assert "8 are validation and 8 are test here" in told


def test_a_replica_finds_the_data_from_another_working_directory(
    tiny_gptj: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tiny_gptj, "clip_endings", cluster={"cpus_per_replica": 1})
    prepared = prepare(study, tmp_path / "s", tmp_path / "cache")
    subject = prepared.opened.subject
    settings = replica_settings(
        prepared.opened.study, subject.card, {"clip_endings": subject.first.task_fingerprint}, prepared.cache, starts=()
    )
    monkeypatch.chdir(tmp_path)
    LocalPool(settings).close()
    assert Path.cwd() == tmp_path
