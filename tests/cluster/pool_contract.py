"""What every pool promises; each form of the pool runs these tests."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch, NormsRequest, ReplicaSettings
from clipsweep.trials.base.errors import EvaluationError, PoolError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import PromptSet, Trial, TrialSpec
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from tests.trials.architectures import build_model

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


def save_fallback(folder: Path) -> Path:
    """Save a model that keeps no keys, which every replica warns of when it loads it."""
    build_model("openai-gpt").save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def damage_factors(model: Path, cache: Path, *parameters: str) -> None:
    """Put a file that cannot be read in the place of the factors of each of these matrices."""
    loaded = AutoModelForCausalLM.from_pretrained(model)
    for parameter in parameters:
        FactorCache(cache).get(loaded.get_parameter(parameter), parameter)
    for path in (cache / "factors").rglob("*.safetensors"):
        path.write_bytes(b"damaged")


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What our loggers have warned of in this process during the test."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("clipsweep.") and record.levelno >= logging.WARNING
    ]


def make_trial(card: ModelCard, rate: float, layer: int = 0, shots: int = 2, module: str = "mlp") -> Trial:
    clips = (Clip(layer=layer, module=module, clip_rate=rate),)
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

    def test_every_trial_whose_norms_are_wanted_comes_back_once(self, pool: Pool, card: ModelCard) -> None:
        trials = [make_trial(card, rate, layer) for rate in RATES for layer in (0, 1)]
        requests = [NormsRequest(trials=(one, other), microbatch=4) for one, other in pairwise(trials[::2])]
        found = [norms for answers in pool.norms(requests) for norms in answers]
        wanted = [trial.trial_id for request in requests for trial in request.trials]
        assert sorted(each.trial_id for each in found) == sorted(wanted)
        assert {(each.norms, each.error) for each in found} == {(None, None)}  # of replicas that measure no theory

    def test_norms_that_are_not_read_to_their_end_leave_the_pool_usable(self, pool: Pool, card: ModelCard) -> None:
        next(pool.norms([NormsRequest(trials=(make_trial(card, rate),), microbatch=8) for rate in RATES]))
        pool.submit(Batch(trials=(make_trial(card, 0.5),), microbatch=8))
        assert [result.state for result in drain(pool, 1)] == [TrialState.COMPLETE]

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

    def test_a_warning_over_a_trial_is_logged_in_this_process(
        self, pool: Pool, card: ModelCard, settings: ReplicaSettings, caplog: pytest.LogCaptureFixture
    ) -> None:
        damage_factors(Path(settings.model.path), settings.cache, "transformer.h.1.attn.v_proj.weight")
        pool.submit(Batch(trials=(make_trial(card, 0.5, layer=1, module="v"),), microbatch=8))
        assert [result.state for result in drain(pool, 1)] == [TrialState.COMPLETE]
        (warning,) = set(warnings_in(caplog))
        assert "the factors of layer 1 v (transformer.h.1.attn.v_proj.weight) in" in warning
        assert "they are computed again" in warning

    def test_a_warning_over_a_spectrum_is_logged_in_this_process(
        self, pool: Pool, settings: ReplicaSettings, caplog: pytest.LogCaptureFixture
    ) -> None:
        damage_factors(Path(settings.model.path), settings.cache, "transformer.h.0.attn.q_proj.weight")
        found = [spectrum.place for spectra in pool.spectrum([(0, "q")]) for spectrum in spectra]
        assert found == [(0, "q")]
        (warning,) = warnings_in(caplog)
        assert "the factors of layer 0 q (transformer.h.0.attn.q_proj.weight) in" in warning

    def test_what_cannot_be_screened_is_refused_in_the_replica_s_words(self, pool: Pool) -> None:
        clips = (Clip(layer=0, module="mlp", clip_rate=0.5),)
        prompt_set = PromptSet(shots=2, demo_seed=0, split="validation")
        with pytest.raises(EvaluationError, match="a screen of 12 rows says too little"):
            list(pool.screen([ScreenRequest(prompt_set=prompt_set, clips=clips, rows=50)]))

    def test_a_warning_comes_with_one_answer_only(
        self, pool: Pool, card: ModelCard, settings: ReplicaSettings, caplog: pytest.LogCaptureFixture
    ) -> None:
        damage_factors(Path(settings.model.path), settings.cache, "transformer.h.1.attn.k_proj.weight")
        counts = []
        for rate in RATES:
            pool.submit(Batch(trials=(make_trial(card, rate, layer=1, module="k"),), microbatch=8))
            drain(pool, 1)
            counts.append(len(warnings_in(caplog)))
        assert counts[0] > 0
        assert counts == [counts[0]] * len(RATES)
