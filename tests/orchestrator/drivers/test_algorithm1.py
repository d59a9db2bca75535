"""Whole studies whose layers the condition numbers choose, on a four-layer GPT-J."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM as AutoModel

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.open_study import OpenStudy, write_study
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.reporting.report_facts import describe_layers, report_facts
from clipsweep.orchestrator.run.measure_layers import measure_layers
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.embedded.train import build_tokenizer
from tests.conftest import tiny_config
from tests.orchestrator.run.test_session import fail_on, stable
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot

MakeStudy = Callable[..., dict[str, Any]]
ROLES = {"attn": ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj"), "mlp": ("mlp.fc_in", "mlp.fc_out")}
TOP_K = 2


@pytest.fixture(scope="module")
def deep_gptj(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in four layers."""
    folder = tmp_path_factory.mktemp("deep")
    torch.manual_seed(3)
    config = tiny_config("gptj")
    config.n_layer = 4
    AutoModel.from_config(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def make(make_study: MakeStudy, deep_gptj: Path) -> Callable[..., Study]:
    """Algorithm 1 over all four layers, two rates and a baseline; keyword arguments as for ``make_study``."""

    def make_it(**changes: dict[str, Any]) -> Study:
        defaults: dict[str, dict[str, Any]] = {
            "model": {"path": str(deep_gptj)},
            "space": {"layers": "all", "modules": ["attn", "mlp"], "clip_rates": [0, 0.9]},
            "search": {"driver": "algorithm1", "top_k": TOP_K},
        }
        return check_study(
            make_study(**{key: defaults.get(key, {}) | changes.get(key, {}) for key in defaults | changes})
        )

    return make_it


@pytest.fixture
def run(make: Callable[..., Study], tmp_path: Path, cache: Path) -> Callable[..., Mapping[str, StoredRow]]:
    def run_it(folder: str = "s", **changes: dict[str, Any]) -> Mapping[str, StoredRow]:
        run_study(make(**changes), tmp_path / folder, cache, Console(quiet=True))
        return latest_rows(tmp_path / folder)

    return run_it


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every place that is measured, and every trial that is evaluated, from now on."""
    seen: list[Any] = []
    measure, evaluate = Replica.spectrum, Replica.evaluate

    def watch_spectrum(self: Replica, places: Sequence[Place]) -> list[MatrixSpectrum]:
        seen.extend(places)
        return measure(self, places)

    def watch_evaluate(self: Replica, batch: Any) -> Any:
        seen.extend(trial.trial_id for trial in batch.trials)
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "spectrum", watch_spectrum)
    monkeypatch.setattr(Replica, "evaluate", watch_evaluate)
    return seen


def by_brute_force(folder: Path, module: str) -> list[float]:
    """Condition number of a module in each layer: the largest among its matrices, by numpy in float64."""
    weights = load_file(folder / "model.safetensors")
    names = [[f"transformer.h.{layer}.{role}.weight" for role in ROLES[module]] for layer in range(4)]
    return [max(float(np.linalg.cond(weights[name].astype(np.float64))) for name in held) for held in names]


def clipped(rows: Mapping[str, StoredRow]) -> set[tuple[str, int]]:
    return {(clip.module, clip.layer) for row in rows.values() for clip in row.clips}


def test_the_layer_that_brute_force_picks_is_clipped_and_no_other(
    run: Callable[..., Mapping[str, StoredRow]], deep_gptj: Path
) -> None:
    rows = run()
    expected = {(module, int(max(np.argsort(by_brute_force(deep_gptj, module))[-TOP_K:]))) for module in ROLES}
    assert clipped(rows) == expected
    assert sum(row.split == "validation" for row in rows.values()) == 1 + 2  # the baseline, and a rate of each


def test_a_grid_takes_the_layers_with_the_largest_condition_numbers(
    run: Callable[..., Mapping[str, StoredRow]], deep_gptj: Path
) -> None:
    rows = run(space={"layers": {"top_condition": 3}}, search={"driver": "grid", "top_k": 5}, task={"test_size": 0})
    expected = {
        (module, int(layer)) for module in ROLES for layer in np.argsort(by_brute_force(deep_gptj, module))[-3:]
    }
    assert clipped(rows) == expected


def test_a_second_run_measures_and_evaluates_nothing(
    run: Callable[..., Mapping[str, StoredRow]], calls: list[Any]
) -> None:
    first = run()
    assert len(calls) == 4 * 6 + len(first)
    calls.clear()
    assert run() == first
    assert calls == []


def test_a_study_that_grows_runs_new_trials_and_measures_nothing_again(
    run: Callable[..., Mapping[str, StoredRow]], calls: list[Any]
) -> None:
    before = run()
    calls.clear()
    after = run(space={"clip_rates": [0, 0.5, 0.9]})
    assert set(after) > set(before)
    assert set(calls) == set(after) - set(before)


def test_only_new_candidates_are_measured(run: Callable[..., Mapping[str, StoredRow]], calls: list[Any]) -> None:
    run(space={"layers": [0, 1], "modules": ["mlp"]})
    calls.clear()
    run(space={"layers": [0, 1, 3], "modules": ["mlp"]})
    assert [place for place in calls if isinstance(place, tuple)] == [(3, "fc_in"), (3, "fc_out")]


def test_an_interrupted_measurement_goes_on_where_it_stopped(
    make: Callable[..., Study], tmp_path: Path, cache: Path, calls: list[Any]
) -> None:
    (tmp_path / "s").mkdir()
    prepared = prepare(make(), tmp_path / "s", cache)
    pool = start_pool(prepared)
    answers: Iterator[bool] = iter([False, False, True])
    stopped = measure_layers(prepared.opened, pool, lambda line: None, lambda: next(answers))
    assert stopped.pending is not None
    first = list(calls)
    assert len(first) == 3
    assert measure_layers(stopped, pool, lambda line: None, lambda: False).pending is None
    assert sorted(calls) == sorted(set(calls))
    assert len(calls) == 24


def test_an_interrupt_while_measuring_keeps_what_is_there_and_can_be_resumed(
    make: Callable[..., Study], tmp_path: Path, cache: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Replica.spectrum

    def interrupted(self: Replica, places: Sequence[Place]) -> list[MatrixSpectrum]:
        signal.raise_signal(signal.SIGINT)
        return measure(self, places)

    with monkeypatch.context() as patch:
        patch.setattr(Replica, "spectrum", interrupted)
        outcome = run_study(make(), tmp_path / "s", cache, Console(quiet=True))
    opened = outcome.snapshot.opened
    assert (outcome.interrupted, opened.pending is None, len(calls)) == (True, False, 1)
    assert len(opened.spectrum.conditions()) == 1
    assert not run_study(make(), tmp_path / "s", cache, Console(quiet=True)).interrupted
    assert len([place for place in calls if isinstance(place, tuple)]) == 24


def test_a_measured_study_starts_no_pool_to_choose_its_layers(
    make: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "s").mkdir()
    prepared = prepare(make(), tmp_path / "s", cache)
    measure_layers(prepared.opened, start_pool(prepared), lambda line: None, lambda: False)
    again = prepare(make(), tmp_path / "s", cache).opened
    assert again.pending is None
    assert prepared.opened.choose_layers().space.sites == again.space.sites


def test_condition_numbers_of_another_dtype_are_measured_again(
    make: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "s").mkdir()
    prepared = prepare(make(), tmp_path / "s", cache)
    measure_layers(prepared.opened, start_pool(prepared), lambda line: None, lambda: False)
    assert prepare(make(model={"dtype": "bfloat16"}), tmp_path / "s", cache).opened.pending is not None


def test_a_finished_study_is_read_without_its_model(
    run: Callable[..., Mapping[str, StoredRow]], deep_gptj: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(deep_gptj, tmp_path / "model")
    rows = run(model={"path": str(model)})
    shutil.rmtree(model)
    status = status_of(tmp_path / "s")
    assert (status["state"], status["done"], status["total"]) == ("done", len(rows), len(rows))
    points = take_snapshot(tmp_path / "s").standings.points
    assert {(clip.module, clip.layer) for point in points for clip in point.clips} == clipped(rows)


def test_an_untouched_model_that_failed_counts_although_it_cannot_win(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, lambda clips: not clips)
    rows = run()
    untouched = [row for row in rows.values() if not row.clips]
    assert len(untouched) == 1
    assert take_snapshot(tmp_path / "s").failed == untouched


def test_before_anything_is_measured_the_totals_are_known_and_there_is_no_winner(
    make: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    opened: OpenStudy = prepare(make(), tmp_path / "s", cache).opened
    opened.folder.path.mkdir()
    write_study(opened)
    status = status_of(tmp_path / "s")
    assert (status["state"], status["done"], status["total"]) == ("interrupted", 0, 3)
    assert take_snapshot(tmp_path / "s").standings.points == []
    assert describe_layers(opened).startswith("not chosen yet: of each module the deepest of the 2 layers")


def test_a_dry_run_counts_trials_before_their_layers_are_known(
    make: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    plan = plan_study(make(), tmp_path / "s", cache)
    assert (plan["trials"], plan["trials_to_run"], plan["test_trials_at_most"]) == (3, 3, 3)
    assert plan["matrices_to_measure"] == 24
    assert "\nlayers      chosen first, by condition numbers of 24 matrices" in describe_plan(plan)
    assert not (tmp_path / "s").exists()


def test_rows_of_an_earlier_grid_do_not_pass_for_those_of_layers_yet_to_be_chosen(
    run: Callable[..., Mapping[str, StoredRow]], make: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    run(space={"layers": [0, 1, 2, 3]}, search={"driver": "grid", "top_k": 5})
    assert plan_study(make(), tmp_path / "s", cache)["trials_to_run"] == 2
    opened = prepare(make(), tmp_path / "s", cache).opened
    assert Snapshot.take(opened).standings.winner is None


def test_trials_of_an_earlier_grid_are_not_run_again(
    run: Callable[..., Mapping[str, StoredRow]], calls: list[Any]
) -> None:
    before = run(space={"layers": [0, 1, 2, 3]}, search={"driver": "grid", "top_k": 5}, task={"test_size": 0})
    calls.clear()
    after = run(task={"test_size": 0})
    assert after == before
    assert len(calls) == 24  # places, and no trial


def test_the_winner_is_the_first_of_the_best_rates_and_is_measured_on_test(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    rows = run(space={"clip_rates": [0.9, 0.5], "modules": ["mlp"]})
    winner = take_snapshot(tmp_path / "s").standings.winner
    assert winner is not None
    clips = [row for row in rows.values() if row.split == "validation" and row.clips]
    scores = {row.clip_rate: row.score("accuracy") for row in clips}
    assert winner.point.clips[0].clip_rate == max(scores, key=lambda rate: (scores[rate], rate == 0.9))
    tested = [row.clip_rate for row in rows.values() if row.split == "test"]
    assert sorted(tested, key=str) == [winner.point.clips[0].clip_rate, None]


def test_the_report_shows_condition_numbers_and_the_layers_they_chose(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    run()
    facts = report_facts(snapshot := take_snapshot(tmp_path / "s"), lambda: snapshot.opened.load_task(tmp_path))
    assert facts.spectra is not None
    assert set(facts.spectra["layer"]) == {0, 1, 2, 3}
    assert "deepest of the 2 layers with the largest condition number" in facts.facts["layers"]
    assert "Condition number by layer" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")


def test_weights_that_are_not_finite_end_the_study_by_name(
    run: Callable[..., Mapping[str, StoredRow]], deep_gptj: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(deep_gptj, tmp_path / "model")
    model = AutoModel.from_pretrained(folder)
    model.get_parameter("transformer.h.2.mlp.fc_in.weight").detach()[0, 0] = torch.inf
    model.save_pretrained(folder)
    with pytest.raises(EvaluationError, match=r"layer 2 fc_in \(transformer.h.2.mlp.fc_in.weight\) has 1 weights"):
        run(model={"path": str(folder)})


@pytest.mark.ray
def test_rows_do_not_depend_on_the_number_of_replicas(
    ray_cluster: None, run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    alone, two = (stable(run(str(replicas), cluster={"replicas": replicas})) for replicas in (0, 2))
    assert alone == two
    status = json.loads((tmp_path / "2" / "status.json").read_text())
    assert (status["done"], status["total"]) == (len(two), len(two))
