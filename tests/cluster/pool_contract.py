"""What every pool promises; each form of the pool runs these tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.replica import Batch, Replica, ReplicaSettings
from clipsweep.trials.base.errors import PoolError
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial, TrialSpec
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings

RATES = (0.3, 0.6, 0.9)
EPISODES = TaskSettings(name="episodes", validation_size=12, test_size=0, seed=0)


def replica_settings(
    model: Path, cache: Path, dtype: str = "float32", task: TaskSettings = EPISODES
) -> tuple[ReplicaSettings, ModelCard]:
    card = describe_checkpoint(model, dtype, cache)
    settings = ReplicaSettings(
        model=ModelSettings(path=str(model), dtype=dtype),
        task=task,
        model_fingerprint=card.fingerprint,
        task_fingerprint=load_task(task, cache).fingerprint,
        cache=cache,
        threads=1,
    )
    return settings, card


def make_trial(card: ModelCard, rate: float, layer: int = 0, shots: int = 2) -> Trial:
    clips = (Clip(layer=layer, module="mlp", clip_rate=rate),)
    spec = TrialSpec(model="m", task="episodes", shots=shots, demo_seed=0, split="validation", clips=clips)
    return Trial(trial_id=trial_id(spec, card, "t"), spec=spec, resolved=resolve(clips, card))


def drain(pool: Pool, count: int) -> list[TrialResult]:
    """Collect until ``count`` results are there; bounded, so that a lost batch fails the test."""
    results: list[TrialResult] = []
    for _ in range(600):
        results += pool.collect(0.5)
        if len(results) >= count:
            break
    return results


class PoolContract:
    """Subclasses supply ``pool``, ``card`` and ``settings``."""

    def test_results_equal_those_of_a_replica_alone(
        self, pool: Pool, card: ModelCard, settings: ReplicaSettings
    ) -> None:
        trials = tuple(make_trial(card, rate) for rate in RATES)
        pool.submit(Batch(trials=trials, microbatch=4))
        ours = {result.trial.trial_id: (result.outcomes, result.scores) for result in drain(pool, 3)}
        alone = Replica(settings, "alone").evaluate(Batch(trials=trials, microbatch=4))
        assert ours == {result.trial.trial_id: (result.outcomes, result.scores) for result in alone}

    def test_every_trial_comes_back_once(self, pool: Pool, card: ModelCard) -> None:
        trials = [make_trial(card, rate, layer) for rate in RATES for layer in (0, 1)]
        waiting = [Batch(trials=(trial,), microbatch=8) for trial in trials]
        results: list[TrialResult] = []
        while waiting or len(results) < len(trials):
            while waiting and pool.free_calls():
                pool.submit(waiting.pop())
            results += pool.collect(0.5)
        assert sorted(result.trial.trial_id for result in results) == sorted(trial.trial_id for trial in trials)

    def test_at_most_two_calls_are_taken_for_each_replica(self, pool: Pool, card: ModelCard) -> None:
        room = pool.free_calls()
        assert room == CALLS_PER_REPLICA * len(pool.replicas())
        for number in range(room):
            pool.submit(Batch(trials=(make_trial(card, 0.5, shots=number),), microbatch=8))
        with pytest.raises(PoolError, match="no call is free"):
            pool.submit(Batch(trials=(make_trial(card, 0.9),), microbatch=8))
        assert len(drain(pool, room)) == room

    def test_a_trial_that_raises_is_a_result_and_the_next_one_runs(self, pool: Pool, card: ModelCard) -> None:
        bad = make_trial(card, 0.5, shots=999)
        pool.submit(Batch(trials=(bad, make_trial(card, 0.5)), microbatch=8))
        states = {result.trial.trial_id: result for result in drain(pool, 2)}
        assert states[bad.trial_id].state is TrialState.FAILED
        assert "999 shots of task 'episodes' need more rows" in (states[bad.trial_id].error or "")
        assert "Traceback" in (states[bad.trial_id].traceback or "")
        assert [result.state for result in states.values()].count(TrialState.COMPLETE) == 1

    def test_singular_values_are_those_of_a_replica_alone(
        self, pool: Pool, card: ModelCard, settings: ReplicaSettings
    ) -> None:
        places = sorted(card.shapes)
        found = [spectrum for spectra in pool.spectrum(places) for spectrum in spectra]
        alone = Replica(settings, "alone").spectrum(places)
        assert sorted(found, key=lambda spectrum: spectrum.place) == alone

    def test_a_spectrum_that_is_not_read_to_its_end_leaves_the_pool_usable(self, pool: Pool, card: ModelCard) -> None:
        next(pool.spectrum(sorted(card.shapes)))
        pool.submit(Batch(trials=(make_trial(card, 0.5),), microbatch=8))
        assert [result.state for result in drain(pool, 1)] == [TrialState.COMPLETE]

    def test_no_places_have_no_spectrum(self, pool: Pool) -> None:
        assert list(pool.spectrum([])) == []

    def test_announcing_where_trials_start_changes_no_result(self, pool: Pool, card: ModelCard) -> None:
        trial = make_trial(card, 0.5, layer=1)
        results = []
        for starts in ((), (trial.resolved.start,)):
            pool.announce(starts)
            pool.submit(Batch(trials=(trial,), microbatch=8))
            results.append(drain(pool, 1)[0].scores)
        assert results[0] == results[1]

    def test_nothing_in_flight_gives_nothing(self, pool: Pool) -> None:
        assert pool.collect(0.01) == []

    def test_a_result_says_where_it_ran(self, pool: Pool, card: ModelCard) -> None:
        pool.submit(Batch(trials=(make_trial(card, 0.5),), microbatch=8))
        result = drain(pool, 1)[0]
        names: Sequence[str] = [replica["name"] for replica in pool.replicas()]
        assert result.replica in names
        assert (result.device, result.microbatch) == ("cpu", 8)
        assert result.versions["torch"]
