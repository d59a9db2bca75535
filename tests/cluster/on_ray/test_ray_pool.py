import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ray._private import worker as ray_worker
from transformers import AutoModelForCausalLM

from clipsweep.cluster.fit import ClusterSettings, fit_replicas
from clipsweep.cluster.on_ray import fleet
from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.on_ray.ray_pool import RayPool
from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Answer, Batch, NormsRequest, ReplicaSettings
from clipsweep.trials.base.errors import EvaluationError, ModelError, PoolError, SpecError
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import PromptSet
from tests.cluster.pool_contract import (
    EPISODES,
    RATES,
    PoolContract,
    drain,
    make_trial,
    replica_settings,
    save_fallback,
    warnings_in,
)

TWO = ClusterSettings(
    replicas=2, gpus_per_replica=1, cpus_per_replica=1, address=None, bytes_per_replica=2**20, hang_after_s=4
)


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def settings(tiny_gptj: Path, module_cache: Path) -> ReplicaSettings:
    return replica_settings(tiny_gptj, module_cache)[0]


@pytest.fixture(scope="module")
def card(tiny_gptj: Path, module_cache: Path) -> ModelCard:
    return replica_settings(tiny_gptj, module_cache)[1]


@pytest.fixture(scope="module")
def shared_pool(ray_cluster: None, settings: ReplicaSettings) -> Iterator[Pool]:
    pool = RayPool(settings, TWO)
    yield pool
    pool.close()


def pids_of_two_replicas(pool: Pool) -> set[int]:
    """Process ids, once a replica that died has been replaced; bounded, so that a lost one fails the test."""
    for _ in range(600):
        if len(pool.replicas()) == 2:
            break
        pool.collect(0.1)
        time.sleep(0.1)
    replicas = pool.replicas()
    assert len(replicas) == 2
    return {int(replica["pid"]) for replica in replicas}


def assert_gone(process: int) -> None:
    """A process that was ended takes a moment to go."""
    until = time.monotonic() + 60
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def meet(pool: Pool, card: ModelCard) -> None:
    """Let every replica run a trial of the kind that the test uses: what is met for the first time may take long."""
    for number in range(pool.free_calls()):
        pool.submit(Batch(trials=(make_trial(card, 0.1 + number / 100),), microbatch=8))
    drain(pool, CALLS_PER_REPLICA * len(pool.replicas()))


@pytest.mark.ray
class TestRayPool(PoolContract):
    @pytest.fixture
    def pool(self, shared_pool: Pool) -> Pool:
        return shared_pool

    def test_a_killed_replica_loses_no_trial_and_is_replaced(self, pool: RayPool, card: ModelCard) -> None:
        trials = tuple(make_trial(card, rate, layer) for rate in RATES for layer in (0, 1))
        killed = int(pool.replicas()[0]["pid"])
        os.kill(killed, signal.SIGSTOP)  # so that it cannot finish its batch before it dies
        pool.submit(Batch(trials=trials[:3], microbatch=1))
        pool.submit(Batch(trials=trials[3:], microbatch=1))
        os.kill(killed, signal.SIGKILL)
        results = drain(pool, len(trials))
        assert sorted(r.trial.trial_id for r in results) == sorted(trial.trial_id for trial in trials)
        assert {result.state for result in results} == {TrialState.COMPLETE}
        assert killed not in pids_of_two_replicas(pool)

    def test_a_replica_that_hangs_is_ended_and_its_trials_run_elsewhere(
        self, pool: RayPool, card: ModelCard, caplog: pytest.LogCaptureFixture
    ) -> None:
        pids_of_two_replicas(pool)
        meet(pool, card)
        hung = pool.replicas()[0]
        os.kill(int(hung["pid"]), signal.SIGSTOP)
        trials = [make_trial(card, rate) for rate in RATES]
        for trial in trials:
            pool.submit(Batch(trials=(trial,), microbatch=8, expected_s=0.1))
        results = drain(pool, len(trials))
        assert {result.state for result in results} == {TrialState.COMPLETE}
        assert {result.replica for result in results} != {hung["name"]}
        assert any(f"{hung['name']} of node" in text and "taken for hung" in text for text in warnings_in(caplog))
        assert_gone(int(hung["pid"]))

    def test_what_ray_tells_of_its_processes_is_no_part_of_an_answer(
        self, pool: RayPool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ray_worker.print_to_stdstream({"lines": ["A worker died"], "pid": "raylet", "is_err": False}, False)
        assert capsys.readouterr() == ("", "")

    def test_a_replica_killed_over_a_spectrum_costs_no_matrix(self, pool: RayPool, card: ModelCard) -> None:
        killed = int(pool.replicas()[0]["pid"])
        spectra = pool.spectrum(sorted(card.shapes))
        found = next(spectra)
        os.kill(killed, signal.SIGKILL)
        found += [spectrum for several in spectra for spectrum in several]
        assert sorted(spectrum.place for spectrum in found) == sorted(card.shapes)
        assert killed not in pids_of_two_replicas(pool)


class KilledByThreeShots(ReplicaActor):
    """Dies, as by the kernel's hand, over each trial with three shots."""

    def evaluate(self, batch: Batch) -> Answer[list[TrialResult]]:
        if any(trial.spec.shots == 3 for trial in batch.trials):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(batch)


@pytest.mark.ray
def test_a_trial_that_was_running_at_three_deaths_is_failed_and_its_neighbour_completes(
    ray_cluster: None, settings: ReplicaSettings, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ReplicaActor", KilledByThreeShots)
    killer, neighbour = make_trial(card, 0.5, shots=3), make_trial(card, 0.5, shots=2)
    pool = RayPool(settings, replace(TWO, replicas=1))
    pool.submit(Batch(trials=(killer, neighbour), microbatch=8))
    results = drain(pool, 2) + pool.collect(0.5)
    pool.close()
    assert sorted((result.trial.spec.shots, result.state) for result in results) == [
        (2, TrialState.COMPLETE),
        (3, TrialState.FAILED),
    ]
    (error,) = [result.error for result in results if result.error is not None]
    assert error.startswith("3 replicas died while running this trial; the last: ")


class KilledBySpectrum(ReplicaActor):
    """Dies over each matrix of layer 1."""

    def spectrum(self, places: Sequence[Place]) -> Answer[list[MatrixSpectrum]]:
        if places[0][0] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().spectrum(places)


@pytest.mark.ray
def test_a_matrix_that_takes_three_replicas_with_it_ends_the_spectrum(
    ray_cluster: None, settings: ReplicaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ReplicaActor", KilledBySpectrum)
    pool = RayPool(settings, replace(TWO, replicas=1))
    with pytest.raises(PoolError, match="3 replicas died .* of layer 1 q; the last"):
        list(pool.spectrum([(0, "q"), (1, "q")]))
    pool.close()


class KilledByANorm(ReplicaActor):
    """Dies over each trial with three shots whose demonstrations it measures."""

    def norms(self, request: NormsRequest) -> Answer[list[TrialNorms]]:
        if any(trial.spec.shots == 3 for trial in request.trials):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().norms(request)


@pytest.mark.ray
def test_a_trial_that_was_measured_at_three_deaths_fails_and_those_of_its_request_are_measured(
    ray_cluster: None, settings: ReplicaSettings, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ReplicaActor", KilledByANorm)
    killer, *others = (make_trial(card, 0.5, shots=shots) for shots in (3, 2, 1))
    pool = RayPool(replace(settings, theory=True), replace(TWO, replicas=1))
    requests = [NormsRequest(trials=(others[0], killer, others[1]), microbatch=8)]
    found = {norms.trial_id: norms for answers in pool.norms(requests) for norms in answers}
    pool.close()
    failed = found.pop(killer.trial_id)
    assert (failed.error or "").startswith("3 replicas died while measuring this trial; the last: ")
    assert failed.norms is None
    assert {name: norms.error for name, norms in found.items()} == {trial.trial_id: None for trial in others}
    assert all(norms.norms is not None for norms in found.values())


@pytest.mark.ray
def test_a_screen_equals_that_of_a_replica_alone(ray_cluster: None, tiny_gptj: Path, module_cache: Path) -> None:
    settings, _ = replica_settings(tiny_gptj, module_cache, task=replace(EPISODES, validation_size=60))
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.5) for layer in (0, 1))
    prompt_sets = [PromptSet(shots=shots, demo_seed=0, split="validation") for shots in (0, 2, 3)]
    requests = [ScreenRequest(prompt_set=each, clips=clips, rows=50) for each in prompt_sets]
    pool, alone = RayPool(settings, TWO), Replica(settings, "alone")
    found = {each.request: each.changes.tolist() for answers in pool.screen(requests) for each in answers}
    pool.close()
    assert found == {request: alone.screen(request).changes.tolist() for request in requests}


@pytest.mark.ray
def test_a_warning_over_loading_the_model_is_logged_with_the_replica_s_name(
    ray_cluster: None, tmp_path: Path, module_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = RayPool(replica_settings(save_fallback(tmp_path / "model"), module_cache)[0], replace(TWO, replicas=1))
    pool.close()
    (warning,) = warnings_in(caplog)
    assert warning.startswith("replica-0: openai-gpt is run on full prompts, which is slower: ")


@pytest.mark.ray
def test_a_refusal_of_a_replica_reaches_the_driver(ray_cluster: None, settings: ReplicaSettings) -> None:
    with pytest.raises(ModelError, match="is another checkpoint than the driver's"):
        RayPool(replace(settings, model_fingerprint="0"), replace(TWO, replicas=1, cpus_per_replica=1))


@pytest.mark.ray
def test_a_matrix_that_is_not_finite_is_named_to_the_driver(
    ray_cluster: None, tiny_gptj: Path, module_cache: Path, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_gptj)
    model.get_parameter("transformer.h.1.attn.q_proj.weight").detach()[0, 0] = torch.nan
    model.save_pretrained(shutil.copytree(tiny_gptj, tmp_path / "model"))
    pool = RayPool(replica_settings(tmp_path / "model", module_cache)[0], replace(TWO, replicas=1))
    with pytest.raises(EvaluationError, match=r"layer 1 q \(transformer.h.1.attn.q_proj.weight\) has 1 weights"):
        list(pool.spectrum([(0, "q"), (1, "q")]))
    pool.close()


@pytest.mark.ray
def test_more_replicas_than_fit_are_refused_before_any_starts(ray_cluster: None, settings: ReplicaSettings) -> None:
    with pytest.raises(SpecError, match="asks for 5 replicas .* the cluster has 4 cores and 0 GPUs"):
        RayPool(settings, replace(TWO, replicas=5))


@pytest.mark.parametrize(
    ("asked", "resources", "expected"),
    [
        (replace(TWO, replicas=None), [{"CPU": 8.0, "GPU": 4.0}], (1, 4)),
        (replace(TWO, replicas=None, gpus_per_replica=0.5), [{"CPU": 16.0, "GPU": 4.0}], (0.5, 8)),
        (replace(TWO, replicas=None, gpus_per_replica=0.6), [{"CPU": 16.0, "GPU": 4.0}], (0.6, 4)),
        (replace(TWO, replicas=None, gpus_per_replica=2), [{"CPU": 8.0, "GPU": 3.0}] * 2, (2, 2)),
        (replace(TWO, replicas=None, cpus_per_replica=3), [{"CPU": 4.0, "memory": 2.0**30}] * 3, (0, 3)),
        (replace(TWO, replicas=None, bytes_per_replica=2**30), [{"CPU": 8.0, "memory": 3.5 * 2**30}], (0, 3)),
        (replace(TWO, replicas=3), [{"CPU": 8.0, "GPU": 4.0}], (1, 3)),
    ],
)
def test_replicas_fit_gpus_cores_and_memory(
    asked: ClusterSettings, resources: list[dict[str, float]], expected: tuple[float, int]
) -> None:
    assert fit_replicas(asked, resources) == expected


@pytest.mark.parametrize("asked", [0.5, 4])
def test_gpus_are_not_ignored_where_the_cluster_has_none(asked: float) -> None:
    with pytest.raises(SpecError, match=f"gpus_per_replica is {asked:g}, but the cluster has no GPU"):
        fit_replicas(replace(TWO, gpus_per_replica=asked), [{"CPU": 8.0}])
