"""The shipped study ``laser`` on a tiny GPT-J: made-up rows in the hub's columns, planned and run."""

from pathlib import Path

import pytest

from clipsweep.orchestrator.api import load_studies, plan, run
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.tasks.laser import LASER_TASKS
from tests.trials.laser_rows import write_laser
from tests.trials.small_readers import save_reader


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and one with a folder of rows for each task."""
    place = tmp_path_factory.mktemp("laser")
    save_reader("gptj", place / "gptj")
    for name in LASER_TASKS:
        write_laser(place / "rows" / name, name)
    return place


def studies(place: Path) -> dict[str, Study]:
    task = {"path": str(place / "rows")}
    found = load_studies("laser", model={"path": str(place / "gptj"), "dtype": "float32"}, task=task)
    return {study.task.name: study for study in found}


def sized(study: Study) -> Study:
    """With as many rows of validation as there are of HotpotQA, whose number of them is stated."""
    if study.task.name != "hotpotqa":
        return study
    return study.model_copy(update={"task": study.task.model_copy(update={"validation_size": 8})})


def test_it_is_a_study_for_each_of_the_data_sets_with_laser_s_rates(place: Path) -> None:
    found = studies(place)
    assert list(found) == list(LASER_TASKS)
    assert {study.name for study in found.values()} == {f"laser-gptj-{name}" for name in LASER_TASKS}
    (rates,) = {tuple(study.space.clip_rates) for study in found.values()}
    assert rates == tuple(round(rate / 10, 4) for rate in (1, 2, 4, 6, 8, 9, 9.5, 9.9, 9.95))  # as LASER writes them


@pytest.mark.parametrize("name", LASER_TASKS)
def test_every_study_is_planned(name: str, place: Path, tmp_path: Path, cache: Path) -> None:
    planned = plan(sized(studies(place)[name]), dir=tmp_path / "study")
    assert planned["trials"] == 1 + 2 * 2 * 8  # untouched; layers, matrices, rates, of which two leave a rank of 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counterfact", "fever", "truthfulqa"])  # open, equal claims, ties
def test_a_study_runs_to_its_answer(name: str, place: Path, tmp_path: Path, cache: Path) -> None:
    study = run(sized(studies(place)[name]), dir=tmp_path / "study", quiet=True, cluster={"replicas": 0})
    rows = study.stored_rows()
    assert {row.state for row in rows} == {TrialState.COMPLETE}
    assert {row.shots for row in rows} == {0}
    assert study.describe()
    assert study.report().is_file()
