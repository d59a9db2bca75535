"""Bayesian studies as a user runs them: what is refused before anything is loaded, and a run from end to end."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster import replica
from clipsweep.orchestrator.commands.study import best
from clipsweep.orchestrator.drivers.bayes.driver import BayesDriver
from clipsweep.orchestrator.drivers.build import make_driver
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot

MakeStudy = Callable[..., dict[str, Any]]
BAYES = {"driver": "bayes", "n_trials": 4, "sampler": "random"}
SEVERAL = {"clips": {"max": 2}}
BOTH = ["accuracy", "parameters"]


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Callable[..., Mapping[str, StoredRow]]:
    """Run the tiny study with driver bayes, with changes; gives its latest rows."""

    def run_it(folder: str = "s", **changes: dict[str, Any]) -> Mapping[str, StoredRow]:
        content = make_study(**({"task": {"test_size": 0}} | changes | {"search": BAYES | changes.get("search", {})}))
        run_study(check_study(content), tmp_path / folder, cache, Console(quiet=True))
        return latest_rows(tmp_path / folder)

    return run_it


@pytest.mark.parametrize(
    ("space", "search", "words"),
    [
        ({}, {"n_trials": None}, "'search.n_trials' is missing: driver 'bayes' does not stop.*Set search.n_trials"),
        ({}, {"n_trials": 0}, "'search.n_trials' is 0; expected a whole number of 1 or more or null. Remove the key"),
        ({"clip_rates": [0]}, {}, r"'space.clip_rates' is \[0.*\], which clips nothing"),
        ({"clip_rates": {"low": 0.9, "high": 0.5}}, {}, "'space.clip_rates' is {low: 0.9, high: 0.5}; expected low be"),
        ({"clip_rates": {"low": 0.5, "high": 1.0}}, {}, r"'space.clip_rates.*' is .*; expected .*\[0, 1\)"),
        (
            {"clip_rates": {"low": 0.5, "hihg": 0.9}},
            {},
            "no study key 'space.clip_rates.hihg'.* Did you mean 'space.clip_rates.high'",
        ),
        ({}, {"objectives": ["parameters"]}, r"'search.objectives' is \['parameters'\]; expected \[accuracy\] or"),
        ({}, {"objectives": []}, "'search.objectives' is"),
        ({}, {"objectives": BOTH, "sampler": "cmaes"}, "'cmaes', which has one objective.*Take nsga2 or tpe"),
        ({}, {"storage": "sqlite:///a.db", "sampler": "cmaes"}, "'cmaes', whose state Optuna would unpickle.*Take tpe"),
        ({}, {"objectives": BOTH, "race": "halving"}, "'search.race' is 'halving', which compares.*Remove one"),
        ({}, {"objectives": BOTH, "race": "test"}, "'search.race' is 'test', which compares.*Remove one"),
        ({}, {"top_k": 2}, "'search.top_k' is 2, but driver 'bayes' does not use it"),
        ({"clips": {"max": 0}}, {}, "'space.clips.max' is 0; expected a whole number of 1"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_words(
    make_study: MakeStudy, space: dict[str, Any], search: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(space=space, search=BAYES | search))


@pytest.mark.parametrize("driver", ["grid", "algorithm1"])
@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"clip_rates": {"high": 0.9}}, "'space.clip_rates' is a range, but driver .* visits listed rates.*bayes"),
        (SEVERAL, "'space.clips.max' is 2, but driver .* clips one layer and module at a time.*bayes"),
    ],
)
def test_drivers_that_enumerate_refuse_what_is_searched(
    make_study: MakeStudy, driver: str, space: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(space=space, search={"driver": driver}))


@pytest.fixture
def refused(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Expect a study to be refused with these words, no model loaded and no folder made."""

    def never(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a model was loaded")

    def expect(words: str, **sections: dict[str, Any]) -> None:
        monkeypatch.setattr(replica, "load_model", never)
        with pytest.raises(StudyError, match=words):
            run("refused", **sections)
        assert not (tmp_path / "refused").exists()

    return expect


def test_a_sampler_of_numbers_needs_some(refused: Callable[..., None]) -> None:
    space = {"layers": [0], "clip_rates": [0.5, 0.9], "modules": ["q", "mlp"]}
    refused(
        "'search.sampler' is 'cmaes', which needs 2 axes.*has 1. Take tpe", search={"sampler": "cmaes"}, space=space
    )
    space |= {"clip_rates": [0.5]}
    refused("'search.sampler' is 'qmc', which needs 1 axes.*has 0. Take tpe", search={"sampler": "qmc"}, space=space)


def test_a_warm_start_from_nowhere_is_refused(refused: Callable[..., None], tmp_path: Path) -> None:
    refused(
        "'search.warm_start' names '.*nowhere', which holds no study", search={"warm_start": [f"{tmp_path}/nowhere"]}
    )


def test_a_warm_start_from_another_task_is_refused(
    refused: Callable[..., None], run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    run("other", task={"test_size": 0, "seed": 9})
    refused("a study of another model or task .task rows and wording", search={"warm_start": [str(tmp_path / "other")]})


def test_a_storage_that_cannot_be_opened_is_refused(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    with pytest.raises(StudyError, match=r"'search.storage' cannot be opened .*; expected the URL of a database"):
        run(search={"storage": "postgres//nowhere"})


def test_a_search_runs_from_end_to_end_and_goes_on_where_it_stopped(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    space = {"clip_rates": {"low": 0.1, "high": 0.95}, "modules": ["mlp", "attn"]} | SEVERAL
    first = run(space=space)
    assert len(first) == 1 + 4
    grown = run(space=space, search={"n_trials": 7})
    assert len(grown) == 1 + 7
    assert {key: grown[key] for key in first} == first
    assert {len(row.clips) for row in grown.values()} == {0, 1, 2}
    status = status_of(tmp_path / "s")
    assert (status["state"], status["total"]) == ("done", 8)
    snapshot = take_snapshot(tmp_path / "s")
    assert describe_winner(snapshot.standings).startswith("winner")
    assert (tmp_path / "s" / "report.html").is_file()
    assert check_study(yaml.safe_load(snapshot.opened.study.to_yaml())) == snapshot.opened.study


def test_winners_of_a_search_are_measured_on_test_rows(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    rows = run(task={"test_size": 20})
    assert 1 <= sum(row.split == "test" for row in rows.values()) <= 2
    assert status_of(tmp_path / "s")["state"] == "done"


def test_layers_chosen_by_condition_number_are_searched(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    rows = run(space={"layers": {"top_condition": 1}, "modules": ["mlp", "attn"], "clip_rates": {"high": 0.9}})
    sites = {(row.layer, row.module) for row in rows.values() if row.clips}
    assert len(sites) <= 2
    assert len(rows) == 5


def test_the_journal_names_our_trials(run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path) -> None:
    rows = run(search={"sampler": "tpe"})
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "s" / "optuna.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.journal.JournalStorage(backend))
    named = {trial.user_attrs["trial_id"] for trial in study.trials if trial.user_attrs}
    assert named == {key for key, row in rows.items() if row.clips}


def test_a_grid_warms_a_search(
    run: Callable[..., Mapping[str, StoredRow]], make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    grid = make_study(task={"test_size": 0})
    run_study(check_study(grid), tmp_path / "grid", cache, Console(quiet=True))
    rows = run(search={"warm_start": [str(tmp_path / "grid")], "n_trials": 2})
    assert len(rows) == 1 + 2


def test_a_plan_counts_what_is_left_to_choose(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    content = make_study(space={"clip_rates": {"high": 0.9}}, search=BAYES | {"n_trials": 30})
    plan = plan_study(check_study(content), tmp_path / "s", cache)
    assert 25 <= plan["trials"] <= 31
    assert plan["trials_to_run"] == plan["trials"]
    assert "costs are those of random ones" in plan["notes"][-1]
    unknown = make_study(search=BAYES | {"n_trials": None, "max_hours": 1.0})
    assert "is not known" in plan_study(check_study(unknown), tmp_path / "s", cache)["notes"][-1]


def test_the_driver_of_a_study_is_made_from_its_rows(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    opened = prepare(check_study(make_study(search=BAYES)), tmp_path / "s", cache).opened
    driver = make_driver(opened, {})
    assert isinstance(driver, BayesDriver)
    assert driver.adaptive


def test_two_objectives_give_a_front_in_best_and_in_the_report(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run(search={"objectives": BOTH, "sampler": "nsga2", "n_trials": 6})
    best(tmp_path / "s", as_json=True)
    document = json.loads(capsys.readouterr().out)
    kept = [entry["parameters_kept"] for entry in document["front"]]
    assert kept == sorted(kept)
    assert kept[0] == min(row.parameters_kept for row in rows.values())
    assert document["winner"]["accuracy"] == document["front"][-1]["score"]
    best(tmp_path / "s")
    assert "front     score, parameters kept" in capsys.readouterr().out
    assert "Pareto front" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
