"""The numbers of a trial depend on its clips, its prompts and the microbatch alone: bit by bit, whatever else runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.resolved import ResolvedClips
from tests.trials.architectures import random_model
from tests.trials.engine.test_alone import LOOKING_AHEAD
from tests.trials.engine.test_exactness import (
    FALLBACK,
    ONE_TOKEN,
    ROOMY,
    ROPES,
    draw_prompts,
    draw_trials,
    make_engine,
    model_of,
    shapes_of,
    stretching,
)

LENGTHS = (3, 15, 6, 1, 9, 2, 12, 4, 4, 7, 1, 5, 11)
CUTS, SIZE = (4, 8), 3  # a size that divides none of the parts
NOTHING = Budget(device_bytes=0, host_bytes=0, trials_bytes=0)
A_LITTLE = Budget(device_bytes=20_000, host_bytes=0)
IN_HOST_MEMORY = Budget(device_bytes=0, host_bytes=10**9)
Scores = list[Tensor]
Trials = Sequence[ResolvedClips]


def make_prompts(seed: int = 0, lengths: Sequence[int] = LENGTHS) -> Prompts:
    return replace(draw_prompts(seed, 5, lengths, ONE_TOKEN), cuts=tuple(cut for cut in CUTS if cut < len(lengths)))


def scores_of(engine: Engine, prompts: Prompts, trials: Trials) -> Scores:
    """What each trial gives for the evaluated queries."""
    scored = engine.score_all(prompts, trials, SIZE)
    assert all(isinstance(each, LabelScores) for each in scored)
    rows = slice(prompts.evaluated.start, prompts.evaluated.stop)
    return [each.log_likelihoods[rows] for each in scored if isinstance(each, LabelScores)]


def in_parts(engine: Engine, prompts: Prompts, trials: Trials, *borders: int) -> Scores:
    """The same, evaluated part by part."""
    spans = pairwise((0, *borders, len(prompts.queries)))
    parts = [scores_of(engine, prompts.part(*span), trials) for span in spans]
    return [torch.cat(of_trial) for of_trial in zip(*parts, strict=True)]


def one_by_one(engine: Engine, prompts: Prompts, trials: Trials) -> Scores:
    return [scores for trial in reversed(trials) for scores in scores_of(engine, prompts, [trial])][::-1]


def announced(engine: Engine, prompts: Prompts, trials: Trials) -> Scores:
    """All starts are told before, and other prompts have run."""
    engine.announce(starts_of([edit.clip for trial in trials for edit in trial.edits], engine.card))
    scores_of(engine, make_prompts(1), trials)
    return scores_of(engine, prompts, trials)


WAYS: dict[str, tuple[Budget, Callable[[Engine, Prompts, Trials], Scores]]] = {
    "parts at the cuts": (ROOMY, lambda *given: in_parts(*given, *CUTS)),
    "parts beside the cuts": (ROOMY, lambda *given: in_parts(*given, 1, 5, 10)),
    "one by one": (ROOMY, one_by_one),
    "after others": (ROOMY, announced),
    "nothing kept": (NOTHING, scores_of),
    "a little kept": (A_LITTLE, announced),
    "kept in host memory": (IN_HOST_MEMORY, announced),
}


@pytest.mark.parametrize("name", ["gptj", "llama", FALLBACK])  # tried once on all that ``ARCHITECTURES`` holds
def test_every_way_to_run_a_trial_gives_the_same_bits(name: str, cache: Path) -> None:
    model, prompts = model_of(name), make_prompts()
    trials = [resolve(clips, shapes_of(name)) for clips in draw_trials(shapes_of(name), 3)[::3]]
    expected = scores_of(make_engine(model, cache), prompts, trials)
    for way, (budget, run) in WAYS.items():
        found = run(make_engine(model, cache, budget), prompts, trials)
        assert all(map(torch.equal, found, expected)), way


SOME_LONG = (3, 5, 6, 1, 9, 2, 12, 4, 40, 7, 1)  # the first part alone is short


@pytest.mark.parametrize("rope", ROPES)
def test_a_part_of_short_prompts_runs_as_the_whole_split_does(rope: str, cache: Path) -> None:
    prompts, trials = make_prompts(lengths=SOME_LONG), [resolve((), make_engine(stretching(rope), cache).card)]
    expected = scores_of(make_engine(stretching(rope), cache), prompts, trials)
    found = in_parts(make_engine(stretching(rope), cache), prompts, trials, *CUTS)
    assert all(map(torch.equal, found, expected))


def picky_engine(cache: Path) -> Engine:
    """An engine of a model that padding changes from some length on."""
    return make_engine(random_model(transformers.DogeConfig(**LOOKING_AHEAD["keys for long prompts"])), cache)


def test_short_prompts_that_are_part_of_a_split_with_long_ones_run_alone_too(cache: Path) -> None:
    prompts, trials = make_prompts(lengths=SOME_LONG), [resolve((), picky_engine(cache).card)]
    expected = scores_of(picky_engine(cache), prompts, trials)
    found = in_parts(picky_engine(cache), prompts, trials, *CUTS)
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("before", [SOME_LONG, (35,), LENGTHS])
def test_whether_prompts_run_together_does_not_depend_on_those_before(before: Sequence[int], cache: Path) -> None:
    engine, prompts = picky_engine(cache), make_prompts()
    trials = [resolve((), engine.card)]
    expected = scores_of(picky_engine(cache), prompts, trials)
    scores_of(engine, make_prompts(2, before), trials)
    assert all(map(torch.equal, scores_of(engine, prompts, trials), expected))


def test_a_model_that_runs_prompts_alone_gives_the_same_again_at_the_microbatch_that_it_tells(cache: Path) -> None:
    prompts, clips = make_prompts(lengths=SOME_LONG), resolve((), picky_engine(cache).card)
    told = picky_engine(cache).score(prompts, clips, SIZE)
    again = picky_engine(cache).score(prompts, clips, told.microbatch)
    assert told.engine_path == again.engine_path == "full-prompts"
    assert torch.equal(told.log_likelihoods, again.log_likelihoods)
