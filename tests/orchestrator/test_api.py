"""``import clipsweep``: what a script or a notebook asks, and that the command line says the same."""

import ast
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import clipsweep
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.api import StudyHandle
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.run.interrupt import SIGNALS
from clipsweep.orchestrator.source.overrides import parse_override
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.trials.base.errors import ClipsweepError, StudyError

MakeStudy = Callable[..., dict[str, Any]]
runner = CliRunner()
AGE = {"age_s": None}  # of a status, which is another a moment later


@pytest.fixture(scope="module")
def handle(finished_study: Path) -> StudyHandle:
    return clipsweep.open_study(finished_study)


@pytest.fixture
def two_tasks(make_study: MakeStudy, tmp_path: Path) -> Path:
    """A study file with a list of tasks."""
    path = tmp_path / "two.yaml"
    content = make_study() | {"tasks": ["episodes", "topics"]}
    del content["task"]["name"]
    path.write_text(yaml.safe_dump(content))
    return path


def printed(*arguments: str) -> Any:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# One source for both


def test_status_is_what_the_command_prints(handle: StudyHandle) -> None:
    assert handle.status() | AGE == printed("status", str(handle.folder), "--json") | AGE


def test_best_is_what_the_command_prints(handle: StudyHandle) -> None:
    assert handle.best() == printed("best", str(handle.folder), "--json")


def test_the_answer_in_words_is_what_the_command_prints(handle: StudyHandle) -> None:
    assert runner.invoke(app, ["best", str(handle.folder)]).stdout == (
        f"{handle.describe()}\napply     {handle.apply_command()}\n"
    )


def test_flips_are_those_that_the_command_prints(handle: StudyHandle, cache: Path) -> None:
    assert handle.flips().document() == printed("flips", str(handle.folder), "--json")


def test_rows_are_those_that_the_command_prints(handle: StudyHandle) -> None:
    rows, stored = handle.rows(), printed("results", str(handle.folder), "--json")
    assert list(rows.columns) == SCHEMA.names
    assert list(rows.trial_id) == [row["trial_id"] for row in stored]
    assert list(rows.accuracy) == [row["accuracy"] for row in stored]


def test_the_report_is_written_where_the_command_writes_it(handle: StudyHandle, tmp_path: Path) -> None:
    told = printed("report", str(handle.folder), "--out", str(tmp_path / "theirs.html"), "--json")
    ours = handle.report(tmp_path / "ours.html")
    assert ours.stat().st_size == Path(told["report"]).stat().st_size
    assert handle.report() == handle.report_file == handle.folder / "report.html"


def test_a_plan_is_what_a_dry_run_prints(make_study: MakeStudy, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    told = printed("run", str(path), "--dir", str(tmp_path / "s"), "--dry-run", "--json")
    planned = clipsweep.plan(path, dir=tmp_path / "s")
    assert planned.keys() == told.keys()
    assert planned["trials_to_run"] == told["trials_to_run"] == 5
    assert not (tmp_path / "s").exists()


# Rows


def test_outcomes_and_margins_of_rows_are_arrays_over_the_examples(handle: StudyHandle) -> None:
    rows = handle.rows()
    assert len(rows) >= 5
    assert [outcomes.mean() for outcomes in rows.outcomes] == pytest.approx(list(rows.accuracy))
    assert [len(margins) for margins in rows.margins] == list(rows.n_examples)
    assert all(np.array_equal(row.outcomes, row.margins > 0) for row in rows.itertuples())


# Studies and overrides


def test_a_study_is_taken_from_a_file_a_mapping_or_a_checked_study(make_study: MakeStudy, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    checked = check_study(make_study())
    assert [clipsweep.load_study(each) for each in (path, str(path), make_study(), checked)] == [checked] * 4


def test_a_shipped_study_is_taken_by_its_name() -> None:
    assert clipsweep.load_study("quickstart").name == "quickstart"


def test_overrides_say_what_the_option_set_says(make_study: MakeStudy) -> None:
    texts = ["space.shots=[4]", "space.clip_rates={low: 0, high: 0.5}", "search.driver=bayes", "search.n_trials=3"]
    [expected] = read_studies(make_study(), [parse_override(text) for text in texts])
    space = {"shots": [4], "clip_rates": {"low": 0, "high": 0.5}}
    assert clipsweep.load_study(make_study(), space=space, search={"driver": "bayes", "n_trials": 3}) == expected


def test_an_override_leaves_the_other_keys_of_its_section_and_its_source(make_study: MakeStudy) -> None:
    content = make_study()
    study = clipsweep.load_study(content, name="other", space={"shots": [4]})
    assert (study.name, study.space.shots, study.space.modules) == ("other", [4], ["mlp"])
    assert content == make_study()


def test_a_checked_study_takes_overrides_too(make_study: MakeStudy) -> None:
    checked = clipsweep.load_study(make_study())
    assert clipsweep.load_study(checked, model={"dtype": "bfloat16"}).model.dtype == "bfloat16"


def test_a_wrong_override_is_refused_with_the_nearest_key(make_study: MakeStudy) -> None:
    with pytest.raises(ClipsweepError, match="no study key 'space.shot'.*Did you mean 'space.shots'"):
        clipsweep.load_study(make_study(), space={"shot": [4]})


def test_several_tasks_are_a_study_each(two_tasks: Path) -> None:
    assert [study.name for study in clipsweep.load_studies(two_tasks)] == ["tiny-episodes", "tiny-topics"]


def test_several_tasks_are_refused_where_one_study_is_expected(two_tasks: Path) -> None:
    with pytest.raises(StudyError, match=r"2 tasks: episodes, topics; expected one.*take load_studies"):
        clipsweep.load_study(two_tasks)
    assert clipsweep.load_study(two_tasks, task={"name": "topics"}).task.name == "topics"


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study; expected the folder that 'clipsweep run' named"):
        clipsweep.open_study(tmp_path)


# Running


def test_a_run_gives_the_study_that_can_be_opened(
    make_study: MakeStudy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = clipsweep.run(make_study(), dir=tmp_path / "s", space={"layers": [0]})
    assert (study.folder, study.study.space.layers, study.interrupted) == (tmp_path / "s", [0], False)
    assert study.status() | AGE == clipsweep.open_study(tmp_path / "s").status() | AGE
    assert study.report_file.is_file()
    shown = capfd.readouterr()
    assert "trials/s" in shown.err
    assert shown.out == ""


def test_a_study_without_rows_has_no_best(make_study: MakeStudy, tmp_path: Path) -> None:
    study = clipsweep.run(make_study(), dir=tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / "trials")
    assert (study.best(), study.describe()) == (None, None)
    assert len(study.rows()) == 0


def test_a_study_lives_under_studies_unless_told_otherwise(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert clipsweep.run(make_study()).folder == Path("studies/tiny")
    assert (tmp_path / "studies" / "tiny" / "study.yaml").is_file()


@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupted_run_returns_with_what_is_stored_and_goes_on_next_time(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    evaluate = Replica.evaluate

    def interrupted(self: Replica, batch: Any) -> Any:
        for _ in range(signals):
            signal.raise_signal(signal.SIGINT)
        return evaluate(self, batch)

    content = make_study(space={"clip_rates": [round(0.05 * step, 2) for step in range(20)]})
    with monkeypatch.context() as patch:
        patch.setattr(Replica, "evaluate", interrupted)
        study = clipsweep.run(content, dir=tmp_path / "s")
    assert (study.interrupted, study.status()["state"]) == (True, "interrupted")
    again = clipsweep.run(content, dir=tmp_path / "s")
    assert (again.interrupted, again.status()["state"]) == (False, "done")


def test_a_run_in_another_thread_leaves_the_signals_alone(make_study: MakeStudy, tmp_path: Path) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = [signal.getsignal(number) for number in SIGNALS]
    with ThreadPoolExecutor(1) as pool:
        study = pool.submit(clipsweep.run, make_study(), dir=tmp_path / "s").result()
    assert study.status()["state"] == "done"
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.slow
def test_a_script_with_a_trials_module_of_its_own_runs_a_study(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(make_study()))
    (tmp_path / "trials.py").write_text("MINE = 'of the user'\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import clipsweep, trials\n"
        "study = clipsweep.run('tiny.yaml', dir='s')\n"
        "print(trials.MINE, study.status()['state'], study.best()['gain']['split'])\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "of the user done test\n"


# The package


def test_every_public_name_can_be_had_and_is_listed() -> None:
    assert dir(clipsweep) == sorted(clipsweep.__all__)
    assert all(getattr(clipsweep, name) is not None for name in clipsweep.__all__)


def test_a_name_that_is_not_there_is_refused_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'clipsweep' has no attribute 'sweep'"):
        clipsweep.sweep  # noqa: B018


def test_editors_are_told_of_the_names_that_are_loaded_late() -> None:
    tree = ast.parse(Path(clipsweep.__file__).read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    told = {
        alias.name: node.module for node in ast.walk(typed) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == clipsweep._HOMES
    assert sorted(told) == sorted(clipsweep.__all__)


def test_what_is_opened_has_its_type(finished_study: Path) -> None:
    assert_type(clipsweep.open_study(finished_study), StudyHandle)  # mypy looks at this, not Python
    assert isinstance(clipsweep.open_study(finished_study), clipsweep.StudyHandle)
