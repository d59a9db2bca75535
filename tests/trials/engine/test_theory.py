"""Measuring the theory changes no score, and is left out where there is nothing to measure."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.prompts.prompts import Prompts
from tests.trials.architectures import build_model
from tests.trials.engine.test_exactness import FALLBACK, draw_trials
from tests.trials.theory.by_hand import draw_prompts, make_engine


def score(name: str, prompts: Prompts, cache: Path, *, theory: bool) -> list[LabelScores]:
    engine = make_engine(build_model(name), cache, theory=theory)
    trials = [resolve(clips, engine.card) for clips in draw_trials(engine.card, 0)]
    found = engine.score_all(prompts, trials, 2)
    return [each for each in found if isinstance(each, LabelScores)]


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


def test_no_module_of_the_model_keeps_a_hook(cache: Path) -> None:
    model = build_model("llama")
    engine = make_engine(model, cache)
    engine.score(draw_prompts(), resolve((), engine.card), 2)
    assert not any(module._forward_pre_hooks for module in model.modules())
