"""Measuring the theory changes no score, and is left out where there is nothing to measure."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.engine.passes import Passes
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.resolved import ResolvedClips
from tests.trials.architectures import build_model
from tests.trials.engine.test_exactness import FALLBACK, draw_trials
from tests.trials.theory.by_hand import draw_prompts, make_engine


def score(name: str, prompts: Prompts, cache: Path, *, theory: bool) -> list[LabelScores]:
    engine = make_engine(build_model(name), cache, theory=theory)
    trials = [resolve(clips, engine.card) for clips in draw_trials(engine.card, 0)]
    found = engine.score_all(prompts, trials, 2)
    return [each for each in found if isinstance(each, LabelScores)]


def parts_of(
    engine: Engine, prompts: Prompts, clips: ResolvedClips, *, forget: bool = False
) -> Iterator[ImplicitNorms]:
    """Of both halves of the prompts; between them what was kept of the trial may be given up."""
    for first in (0, 2):
        norms = engine.score(prompts.part(first, first + 2), clips, 2).implicit
        assert norms is not None
        yield norms
        if forget:
            engine._kept.forget_trials()


@pytest.mark.parametrize("name", ["gptj", "llama", "gpt2"])
def test_scores_are_the_same_bits_with_and_without(name: str, cache: Path) -> None:
    prompts = draw_prompts()
    measured, plain = (score(name, prompts, cache, theory=theory) for theory in (True, False))
    assert len(measured) == len(plain) > 10
    for one, other in zip(measured, plain, strict=True):
        assert torch.equal(one.log_likelihoods, other.log_likelihoods)
        assert one.implicit is not None
        assert other.implicit is None


def test_every_part_of_a_race_has_the_norms_of_the_whole(cache: Path) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    for clips in draw_trials(engine.card, 0)[:6]:
        found = [
            engine.score(each, resolve(clips, engine.card), 2).implicit
            for each in (prompts.part(0, 2), prompts.part(2, 4), prompts)
        ]
        assert len({(norms.delta_w, norms.delta_w_softmax, norms.implicit_gradient) for norms in found if norms}) == 1
        assert None not in found


def test_a_part_that_did_not_read_the_prompt_took_no_time_to_measure(cache: Path) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    clips = resolve((Clip(layer=0, module="attn", clip_rate=0.7),), engine.card)
    engine.score(prompts, resolve((), engine.card), 2)  # which pays for the pass that all trials share
    seconds = [norms.seconds for norms in parts_of(engine, prompts, clips)]
    assert seconds[0] > 0 == seconds[1]


def test_a_part_that_reads_the_prompt_again_says_what_that_took(cache: Path) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    clips = resolve((Clip(layer=0, module="attn", clip_rate=0.7),), engine.card)
    engine.score(prompts, resolve((), engine.card), 2)
    assert all(norms.seconds > 0 for norms in parts_of(engine, prompts, clips, forget=True))


def test_the_pass_that_trials_share_is_charged_to_each_that_runs_with_it(cache: Path) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    trials = [resolve(clips, engine.card) for clips in ((), (Clip(layer=1, module="mlp", clip_rate=0.7),))]
    found = [each for each in engine.score_all(prompts, trials, 2) if isinstance(each, LabelScores)]
    first, second = (each.implicit.seconds for each in found if each.implicit is not None)
    assert 0 < first == second  # neither reads the prompt itself
    assert all(each.implicit is not None and each.implicit.seconds < each.seconds for each in found)
    later = engine.score(prompts, trials[0], 2).implicit
    assert later is not None
    assert later.seconds == 0  # that pass was before


def test_prompts_without_demonstrations_are_not_measured(cache: Path) -> None:
    found = score("gptj", draw_prompts(demonstrations=0), cache, theory=True)
    assert {each.implicit for each in found} == {None}


def test_prompts_with_nothing_in_common_are_not_measured(cache: Path) -> None:
    prompts = draw_prompts()
    queries = tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    found = score("gptj", replace(prompts, prefix=(), queries=queries), cache, theory=True)
    assert {each.implicit for each in found} == {None}


def test_a_model_that_reads_prompts_whole_is_not_measured_and_the_log_says_so(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = score(FALLBACK, draw_prompts(), cache, theory=True)
    assert {each.implicit for each in found} == {None}
    assert f"{FALLBACK} is run on full prompts, so that theory measures nothing" in caplog.messages


def test_prompts_that_are_read_whole_are_told_once(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    monkeypatch.setattr(engine, "_stretches", lambda _prompts: True)
    with caplog.at_level(logging.WARNING):
        found = [engine.score(prompts, resolve((), engine.card), 2) for _ in range(2)]
    assert {each.implicit for each in found} == {None}
    told = "some prompts are read whole, each alone, so that theory measures nothing of them"
    assert caplog.messages.count(told) == 1


def test_rows_with_demonstrations_of_their_own_are_not_measured_and_told_once(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), replace(draw_prompts(), own_demonstrations=True)
    with caplog.at_level(logging.WARNING):
        found = [engine.score(prompts, resolve((), engine.card), 2) for _ in range(2)]
    assert {each.implicit for each in found} == {None}
    told = (
        "some rows have demonstrations of their own, which no other row shares, so that theory measures nothing of them"
    )
    assert caplog.messages.count(told) == 1
    assert engine.measure(prompts, [resolve((), engine.card)], 2) == [None]


def test_a_model_without_a_block_that_can_be_measured_is_told(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = build_model("llama")
    model.config.num_attention_heads = 5  # which do not divide the queries
    with caplog.at_level(logging.WARNING):
        make_engine(model, cache)
    assert "llama has no block that theory can measure, so that it measures nothing" in caplog.messages


def test_no_module_of_the_model_keeps_a_hook(cache: Path) -> None:
    model = build_model("llama")
    engine = make_engine(model, cache)
    engine.score(draw_prompts(), resolve((), engine.card), 2)
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["gptj", "llama", "gpt2"])
def test_measured_alone_a_trial_has_the_norms_that_scoring_gives_to_the_bit(name: str, cache: Path) -> None:
    engine, prompts = make_engine(build_model(name), cache), draw_prompts()
    trials = [resolve(clips, engine.card) for clips in draw_trials(engine.card, 0)]
    scored = [engine.score(prompts, clips, 2).implicit for clips in trials]
    alone = [make_engine(build_model(name), cache).measure(prompts, [clips], 4)[0] for clips in trials]
    assert list(map(numbers, alone)) == list(map(numbers, scored))
    together = make_engine(build_model(name), cache).measure(prompts, trials[::-1], 4)
    assert list(map(numbers, together[::-1])) == list(map(numbers, scored))


def test_measuring_scores_nothing_and_says_what_it_took(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    monkeypatch.setattr(Passes, "visit", None)  # of any query
    monkeypatch.setattr(engine, "decoder_for", lambda _prompts, _size: engine._decoder)  # else it tries two of them
    trials = [resolve(clips, engine.card) for clips in draw_trials(engine.card, 0)]
    found = [each for each in engine.measure(prompts, trials, 2) if isinstance(each, ImplicitNorms)]
    assert len(found) == len(trials)
    assert all(norms.seconds > 0 for norms in found)


def test_a_trial_after_measuring_is_not_charged_for_it(cache: Path) -> None:
    engine, prompts = make_engine(build_model("llama"), cache), draw_prompts()
    untouched = resolve((), engine.card)
    (before,) = engine.measure(prompts, [untouched], 2)
    after = engine.score(prompts, untouched, 2).implicit
    assert numbers(before) == numbers(after)
    assert after is not None
    assert after.seconds == 0


@pytest.mark.parametrize(
    ("name", "prompts", "theory"),
    [
        ("llama", draw_prompts(demonstrations=0), True),
        ("llama", replace(draw_prompts(), prefix=()), True),
        ("llama", draw_prompts(), False),
        (FALLBACK, draw_prompts(), True),
    ],
)
def test_where_there_is_nothing_to_measure_nothing_is_told(
    name: str, prompts: Prompts, theory: bool, cache: Path
) -> None:
    engine = make_engine(build_model(name), cache, theory=theory)
    assert engine.measure(prompts, [resolve((), engine.card)] * 2, 2) == [None, None]


def test_weights_that_are_not_finite_end_their_trial_alone(cache: Path) -> None:
    model = build_model("llama")
    engine = make_engine(model, cache)
    with torch.no_grad():
        model.get_parameter("model.layers.0.mlp.up_proj.weight")[0, 0] = float("nan")
    clips = [(Clip(layer=0, module="mlp", clip_rate=0.7),), (Clip(layer=1, module="attn", clip_rate=0.7),)]
    failed, measured = engine.measure(draw_prompts(), [resolve(each, engine.card) for each in clips], 2)
    assert isinstance(failed, EvaluationError)
    assert isinstance(measured, ImplicitNorms)
    assert measured.delta_w[1] is None  # what it reads is not finite either


def numbers(norms: ImplicitNorms | EvaluationError | None) -> tuple[object, ...]:
    """All of them but for the seconds."""
    assert isinstance(norms, ImplicitNorms)
    return norms.delta_w, norms.delta_w_softmax, norms.implicit_gradient
