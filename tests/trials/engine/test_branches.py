"""Labels of several tokens branch off one copy of their query, and give what each gives alone."""

import logging
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.cost import measure_extents
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import build_model, card_of, random_model
from tests.trials.engine.test_alone import LOOKING_AHEAD
from tests.trials.engine.test_exactness import (
    BLOCKWISE,
    FALLBACK,
    FOUR_SHOTS,
    assert_equal,
    draw_prompts,
    draw_tokens,
    draw_trials,
    make_engine,
    model_of,
    shapes_of,
)
from tests.trials.reference import edit_in_place, run_one_by_one

CANNOT = "gpt_neo"  # tells positions by counting tokens
LONG = tuple(range(40, 55))  # longer than the windows of the sliding ones
LABELS: tuple[Tokens, ...] = ((7, 8, 9), (10,), LONG, (7, 8, 30, 31), (11, *LONG), (7, 8, 9, 10))
TREE = 2 + len(LONG) - 1 + 1 + len(LONG) + 1  # 7 8 | 40 … 53 | 30 | 11 40 … 53 | 9, as no last token is read
CLIPS = [(), (Clip(layer=0, module="mlp", clip_rate=0.6),), (Clip(layer=1, module="attn", clip_rate=0.8),)]


def make_prompts(prefix: int = FOUR_SHOTS) -> Prompts:
    """Queries of some labels each; one has a label alone."""
    prompts = draw_prompts(prefix, prefix, (3, 15, 6, 1), LABELS)
    held = (LABELS, LABELS[:2], LABELS[2:5], LABELS[2:3])
    return replace(
        prompts,
        queries=tuple(replace(query, labels=labels) for query, labels in zip(prompts.queries, held, strict=True)),
        normalised=True,
    )


@pytest.mark.parametrize("prefix", [pytest.param(0, marks=pytest.mark.slow), FOUR_SHOTS], ids=["no-shots", "shots"])
@pytest.mark.parametrize("name", BLOCKWISE)
def test_branches_give_what_running_each_label_alone_gives(name: str, prefix: int, cache: Path) -> None:
    model, prompts = model_of(name), make_prompts(prefix)
    engine = make_engine(model, cache)
    trials = draw_trials(shapes_of(name), prefix)[::3]
    scored = engine.score_all(prompts, [resolve(clips, engine.card) for clips in trials], microbatch=3)
    for each, clips in zip(scored, trials, strict=True):
        expected = run_one_by_one(edit_in_place(model, clips), prompts)
        assert isinstance(each, LabelScores)
        assert each.engine_path != "full-prompts"
        torch.testing.assert_close(each.log_likelihoods, expected.scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scoring", [Scoring.MEAN_LOGLIKELIHOOD, Scoring.MEAN_LOGIT])
@pytest.mark.parametrize("name", ["gptj", "gemma2", FALLBACK])
def test_means_are_read_from_branches_too(name: str, scoring: Scoring, cache: Path) -> None:
    prompts, model = draw_prompts(0, FOUR_SHOTS, (3, 15, 6, 1), LABELS, scoring), model_of(name)
    engine = make_engine(model, cache)
    expected = run_one_by_one(edit_in_place(model, CLIPS[1]), prompts)
    assert assert_equal(engine.score(prompts, resolve(CLIPS[1], engine.card), 3), expected) == 0


def test_a_query_with_its_labels_is_as_long_as_its_tokens_and_theirs() -> None:
    prompts = draw_prompts(0, FOUR_SHOTS, (20,), LABELS)
    prefix, row = measure_extents(prompts, 1, branches=True)
    assert (prefix.tokens, row.sequences, row.tokens) == (FOUR_SHOTS, 1, 20 + TREE)


def test_labels_that_begin_one_another_need_no_branch() -> None:
    prompts = draw_prompts(0, 0, (20,), ((5,), (5, 6), (5, 6, 7)))
    (extent,) = measure_extents(prompts, 1, branches=True)
    assert (extent.sequences, extent.tokens, extent.answers) == (1, 22, 3)


def test_many_labels_after_a_short_query_are_read_apart_where_that_costs_less() -> None:
    labels = tuple(draw_tokens(random.Random(number), 200) for number in range(40))
    short, long = (measure_extents(draw_prompts(0, 0, (n,), labels), 1, branches=True) for n in (1, 900))
    assert ([each.sequences for each in short], [each.sequences for each in long]) == ([40], [1])


def test_a_model_that_cannot_branch_reads_each_label_with_its_query_and_says_so_once(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, prompts = model_of(CANNOT), make_prompts()
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        engine = make_engine(model, cache)
        scored = [engine.score(prompts, resolve(clips, engine.card), 2) for clips in CLIPS[:2]]
    for each, clips in zip(scored, CLIPS, strict=False):
        expected = run_one_by_one(edit_in_place(model, clips), prompts)
        torch.testing.assert_close(each.log_likelihoods, expected.scores, atol=1e-4, rtol=0)
    assert caplog.text.count("label words of several tokens each read their query") == 1


def test_labels_are_no_keys_to_pick_from_for_a_model_that_keeps_few(cache: Path) -> None:
    model = random_model(transformers.DogeConfig(**{**LOOKING_AHEAD["few keys"], "keep_window_size": 60}))
    engine = make_engine(model, cache)
    for labels, path in [(LABELS[:3], "blocks"), (LABELS, "full-prompts")]:  # texts of 46 tokens, rows of 47 and 65
        prompts = replace(draw_prompts(0, 10, (21, 21), labels), normalised=True)
        scored = engine.score(prompts, resolve((), engine.card), 2)
        assert scored.engine_path == path
        torch.testing.assert_close(scored.log_likelihoods, run_one_by_one(model, prompts).scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize("clips", CLIPS, ids=["base", "mlp", "attn"])
@pytest.mark.parametrize("name", ["gptj", "llama"])
def test_the_cost_model_counts_what_torch_counts(name: str, clips: tuple[Clip, ...], cache: Path) -> None:
    model, prompts = build_model(name), make_prompts()
    model.set_attn_implementation("eager")  # torch does not count its fused attention on a CPU
    engine = make_engine(model, cache)
    engine.announce(starts_of([clip for each in CLIPS for clip in each], engine.card))
    engine.score(prompts, resolve((), engine.card), 2)  # the pass that all trials share
    with FlopCounterMode(display=False) as forming:
        edit_weights(model, engine.layout, resolve(clips, card_of(model)), FactorCache(cache))
    with FlopCounterMode(display=False) as trial:
        scored = engine.score(prompts, resolve(clips, engine.card), 2)
    assert scored.operations == trial.get_total_flops() - forming.get_total_flops()


def test_single_token_labels_have_nothing_to_branch() -> None:
    query = Query(tokens=(1, 2), labels=((5,), (6,)), gold=0)
    prompts = Prompts(prefix=(), queries=(query, query))
    plain, branching = (measure_extents(prompts, 2, branches=branches) for branches in (False, True))
    assert plain == branching
