"""Candidates and means of logits: as exact as label words are, on every one of the engine's paths."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine import label_readings
from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import build_model, card_of
from tests.trials.engine.test_exactness import (
    FALLBACK,
    FOUR_SHOTS,
    LENGTHS,
    ROOMY,
    ROPES,
    assert_equal,
    draw_prompts,
    make_engine,
    model_of,
    run_in_fresh_models,
    stretching,
)
from tests.trials.reference import edit_in_place, run_one_by_one

SCORINGS = [Scoring.MEAN_LOGLIKELIHOOD, Scoring.MEAN_LOGIT, Scoring.LOGLIKELIHOOD]
CANDIDATES: tuple[Tokens, ...] = ((7, 8, 9, 10), (11,), (7, 12))
NAMES = ("gptj", "llama", "mistral", "gemma2", "gpt_neo", "bloom", FALLBACK)  # windows, softcapping, full prompts
CLIPS = [(), (Clip(layer=0, module="mlp", clip_rate=0.6),), (Clip(layer=1, module="attn", clip_rate=0.8),)]

every_scoring = pytest.mark.parametrize("scoring", SCORINGS[:2])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def prompts_of(scoring: Scoring, prefix: int = FOUR_SHOTS) -> Prompts:
    return draw_prompts(prefix, prefix, LENGTHS, CANDIDATES, scoring)


@every_scoring
@pytest.mark.parametrize("prefix", [0, FOUR_SHOTS], ids=["no-shots", "shots"])
@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_running_each_prompt_alone(name: str, prefix: int, scoring: Scoring, cache: Path) -> None:
    prompts, model = prompts_of(scoring, prefix), model_of(name)
    engine = make_engine(model, cache)
    scored = engine.score_all(prompts, [resolve(clips, engine.card) for clips in CLIPS], microbatch=2)
    expected = [run_one_by_one(edit_in_place(model, clips), prompts) for clips in CLIPS]
    assert sum(map(assert_equal, scored, expected)) == 0


@every_scoring
@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("gptj", ["blocks", "sub-layer", "sub-layer"]),
        ("llama", ["blocks", "sub-layer", "blocks"]),
        (FALLBACK, ["full-prompts"] * 3),
    ],
)
def test_every_path_of_the_engine_takes_them(name: str, paths: list[str], scoring: Scoring, cache: Path) -> None:
    engine = make_engine(model_of(name), cache)
    assert [engine.score(prompts_of(scoring), resolve(clips, engine.card), 2).engine_path for clips in CLIPS] == paths


@every_scoring
@pytest.mark.parametrize("name", ["gptj", "gemma2", FALLBACK])
def test_the_microbatch_changes_no_score(name: str, scoring: Scoring, cache: Path) -> None:
    prompts, model = prompts_of(scoring), model_of(name)
    expected = run_one_by_one(edit_in_place(model, CLIPS[1]), prompts)
    engine = make_engine(model, cache)
    clips = resolve(CLIPS[1], engine.card)
    assert sum(assert_equal(engine.score(prompts, clips, size), expected) for size in (1, 3, 4)) == 0


@every_scoring
def test_nothing_captured_and_few_logits_at_once_change_no_score(
    scoring: Scoring, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_readings, "LOGITS_AT_ONCE", 350)  # three positions of a vocabulary of 100
    prompts, model = prompts_of(scoring), model_of("llama")
    engine = make_engine(model, cache, Budget(device_bytes=0, host_bytes=0))
    expected = run_one_by_one(edit_in_place(model, CLIPS[2]), prompts)
    assert assert_equal(engine.score(prompts, resolve(CLIPS[2], engine.card), 3), expected) == 0


@every_scoring
@pytest.mark.parametrize("rope", ROPES)
def test_prompts_that_stretch_positions_are_scored_as_if_alone(rope: str, scoring: Scoring, cache: Path) -> None:
    prompts = draw_prompts(0, 10, (20, 9, 6), CANDIDATES, scoring)
    engine = make_engine(stretching(rope), cache)
    scored = engine.score(prompts, resolve(CLIPS[1], engine.card), 3)
    assert scored.engine_path == "full-prompts"
    assert_equal(scored, run_in_fresh_models(rope, CLIPS[1], prompts))


def test_prompts_scored_in_different_ways_share_an_engine(cache: Path) -> None:
    model = model_of("gptj")
    engine = make_engine(model, cache, ROOMY)
    asked = [prompts_of(scoring) for scoring in SCORINGS]
    scored = [engine.score(prompts, resolve(CLIPS[1], engine.card), 2) for prompts in asked]
    edited = edit_in_place(model, CLIPS[1])
    assert sum(map(assert_equal, scored, (run_one_by_one(edited, prompts) for prompts in asked))) == 0


def test_a_mean_is_the_sum_over_the_tokens_of_each_candidate(cache: Path) -> None:
    engine = make_engine(model_of("gptj"), cache)
    sums = engine.score(prompts_of(Scoring.LOGLIKELIHOOD), resolve((), engine.card), 2).log_likelihoods
    means = engine.score(prompts_of(Scoring.MEAN_LOGLIKELIHOOD), resolve((), engine.card), 2).log_likelihoods
    torch.testing.assert_close(means * torch.tensor([4.0, 1.0, 2.0]), sums, atol=2e-5, rtol=0)


@every_scoring
@pytest.mark.parametrize("clips", CLIPS, ids=["base", "mlp", "attn"])
def test_the_cost_model_counts_what_torch_counts(clips: tuple[Clip, ...], scoring: Scoring, cache: Path) -> None:
    model = build_model("gptj")
    model.set_attn_implementation("eager")  # torch does not count its fused attention on a CPU
    engine, prompts = make_engine(model, cache), prompts_of(scoring)
    engine.announce(starts_of([clip for each in CLIPS for clip in each], engine.card))
    engine.score(prompts, resolve((), engine.card), 2)  # the pass that all trials share
    with FlopCounterMode(display=False) as forming:
        edit_weights(model, engine.layout, resolve(clips, card_of(model)), FactorCache(cache))
    with FlopCounterMode(display=False) as trial:
        scored = engine.score(prompts, resolve(clips, engine.card), 2)
    assert scored.operations == trial.get_total_flops() - forming.get_total_flops()
