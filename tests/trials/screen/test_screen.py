"""A screen predicts in first order what dropping singular values does to each row's margin."""

import copy
import functools
import random
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError, SpecError
from clipsweep.trials.clips.edit import edited_matrices
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factors import Factors, compute_factors
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.engine.cost import measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.judge import measure_margins
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.screen.backward import Backward
from clipsweep.trials.screen.room import Room
from clipsweep.trials.screen.screen import screen as screen_request
from clipsweep.trials.screen.screened import LEAST_GROUPS, Screened, ScreenRequest
from clipsweep.trials.screen.sites import plan_sites
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from tests.trials.architectures import VOCABULARY_SIZE, build_model, card_of

ROOMY = Budget(device_bytes=10**9, host_bytes=0)
ROWS, SHOTS = 50, 9
ONE_TOKEN: tuple[Tokens, ...] = ((5,), (6,))  # of two labels, so that no margin has a kink
SEVERAL_TOKENS: tuple[Tokens, ...] = ((7, 8, 9), (10,))
STEP = 0.01  # of the way; some models compute their attention in float32 whatever their dtype


@functools.cache
def model_of(name: str) -> PreTrainedModel:
    return build_model(name)


def engine_of(model: PreTrainedModel, cache: Path, budget: Budget = ROOMY) -> Engine:
    return Engine(model, card_of(model), FactorCache(cache), budget)


def draw_prompts(prefix: int, labels: tuple[Tokens, ...] = ONE_TOKEN, rows: int = ROWS) -> Prompts:
    draw = random.Random(prefix)

    def tokens(count: int) -> Tokens:
        return tuple(draw.randrange(11, VOCABULARY_SIZE) for _ in range(count))

    lengths = [draw.choice((3, 6)) for _ in range(rows)]
    queries = [Query(tokens=tokens(length), labels=labels, gold=draw.randrange(len(labels))) for length in lengths]
    return Prompts(prefix=tokens(prefix), queries=tuple(queries))


def screen(engine: Engine, prompts: Prompts, clips: Sequence[Clip], rows: int = 100) -> Screened:
    prompt_set = PromptSet(shots=1, demo_seed=0, split="validation")
    return screen_request(engine, prompts, ScreenRequest(prompt_set=prompt_set, clips=tuple(clips), rows=rows))


def clips_of(model: PreTrainedModel) -> list[Clip]:
    card = card_of(model)
    places = [(layer, module) for layer in range(card.n_layers) for module in ("attn", "mlp", *card.roles("all"))]
    return [
        Clip(layer=layer, module=module, clip_rate=0.3 + 0.03 * number) for number, (layer, module) in enumerate(places)
    ]


def margins_of(model: PreTrainedModel, prompts: Prompts) -> NDArray[np.float64]:
    """Margins of whole prompts in float64, those of one length together."""
    scores = np.zeros((len(prompts.queries), len(prompts.queries[0].labels)))
    by_length: dict[int, list[tuple[int, int, Tokens]]] = {}
    for row, query in enumerate(prompts.queries):
        for label, tokens in enumerate(query.labels):
            text = prompts.prefix + query.tokens + tokens
            by_length.setdefault(len(text), []).append((row, label, text))
    for texts in by_length.values():
        logprobs = model(torch.tensor([text for _, _, text in texts])).logits.log_softmax(-1)
        for (row, label, text), of_text in zip(texts, logprobs, strict=True):
            count = len(prompts.queries[row].labels[label])
            places = range(len(text) - count, len(text))
            scores[row, label] = sum(float(of_text[place - 1, text[place]]) for place in places)
    gold = [query.gold for query in prompts.queries]
    others = scores.copy()
    others[np.arange(len(gold)), gold] = -np.inf
    return np.asarray(scores[np.arange(len(gold)), gold] - others.max(axis=1))


def tail_of(weight: Tensor, rank: int) -> Tensor:
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    tail: Tensor = (u[:, rank:] * s[rank:]) @ vh[rank:]
    return tail


@torch.no_grad()
def differences(engine: Engine, prompts: Prompts, clip: Clip) -> NDArray[np.float64]:
    """How fast each row's margin changes while all that a clip drops goes, in float64, by differences of order 4."""
    ends = []
    for step in (2 * STEP, STEP, -STEP, -2 * STEP):
        model = copy.deepcopy(engine.loaded.model).double()
        for edit in resolve([clip], engine.card).edits:
            for matrix in edited_matrices(engine.layout, edit):
                stored = model.get_parameter(matrix.parameter)
                weight = matrix.read(stored).clone()
                rank = kept_rank(clip.clip_rate, matrix.rows, matrix.cols)
                matrix.write(stored, weight - step * tail_of(weight, rank))
        ends.append(margins_of(model, prompts))
    return (8 * (ends[1] - ends[2]) - (ends[0] - ends[3])) / (12 * STEP)


def by_group(values: NDArray[np.float64], groups: Sequence[int]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(groups, weights=values), dtype=np.float64)


def assert_first_order(engine: Engine, prompts: Prompts, clips: Sequence[Clip]) -> Screened:
    found = screen(engine, prompts, clips, ROWS)
    with torch.no_grad():
        margins = margins_of(copy.deepcopy(engine.loaded.model).double(), prompts)
    np.testing.assert_allclose(found.margins, margins, atol=1e-4)
    for clip, changes in zip(clips, found.changes, strict=True):
        expected = by_group(differences(engine, prompts, clip), found.groups)
        np.testing.assert_allclose(by_group(changes, found.groups), expected, atol=2e-4 * np.abs(expected).max())
    return found


@pytest.mark.parametrize(("prefix", "labels"), [(0, ONE_TOKEN), (SHOTS, SEVERAL_TOKENS)])
@pytest.mark.parametrize("name", ["gptj", "llama", "gpt2", "gpt_neox"])
def test_it_predicts_what_a_small_step_does_to_every_row(
    name: str, prefix: int, labels: tuple[Tokens, ...], tmp_path: Path
) -> None:
    model = model_of(name)
    found = assert_first_order(engine_of(model, tmp_path), draw_prompts(prefix, labels), clips_of(model)[::5])
    assert LEAST_GROUPS <= len(set(found.groups)) < 2 * LEAST_GROUPS if prefix else len(set(found.groups)) == ROWS


def test_margins_of_labels_scored_by_their_length_are_those_of_what_a_trial_is_judged_by(tmp_path: Path) -> None:
    engine, prompts = engine_of(model_of("gptj"), tmp_path), draw_prompts(SHOTS, SEVERAL_TOKENS)
    queries = tuple(replace(query, lengths=(12, 3)) for query in prompts.queries)
    prompts = replace(prompts, queries=queries, scoring=Scoring.LENGTH_NORMALISED)
    found = screen(engine, prompts, clips_of(model_of("gptj"))[:1], ROWS)
    scores = engine.score(prompts, resolve([], engine.card), 4).log_likelihoods.numpy()
    expected = measure_margins(scores, [query.gold for query in queries])
    np.testing.assert_allclose(found.margins, expected, atol=1e-4)


def test_a_row_with_an_only_choice_is_refused(tmp_path: Path) -> None:
    prompts = draw_prompts(0)
    alone = replace(prompts.queries[7], labels=ONE_TOKEN[:1], gold=0)
    mixed = replace(prompts, queries=(*prompts.queries[:7], alone, *prompts.queries[8:]))
    with pytest.raises(EvaluationError, match="some rows of this task have no others; expected two labels or more"):
        screen(engine_of(model_of("gptj"), tmp_path), mixed, clips_of(model_of("gptj"))[:1], ROWS)


def test_one_screen_gives_every_rate_of_a_matrix(tmp_path: Path) -> None:
    engine, prompts = engine_of(model_of("llama"), tmp_path), draw_prompts(SHOTS)
    rates = [Clip(layer=0, module="mlp", clip_rate=rate) for rate in (0.0, 0.25, 0.5, 0.95)]
    together = screen(engine, prompts, rates, ROWS)
    apart = [screen(engine, prompts, [clip], ROWS).changes[0] for clip in rates]
    np.testing.assert_array_equal(together.changes, np.stack(apart))
    assert not together.changes[0].any()
    assert together.changes[1:].any(axis=1).all()


def test_the_last_rows_are_screened(tmp_path: Path) -> None:
    engine, prompts, clips = engine_of(model_of("gptj"), tmp_path), draw_prompts(0, rows=70), clips_of(model_of("gptj"))
    last = replace(prompts, queries=prompts.queries[20:])
    np.testing.assert_array_equal(screen(engine, prompts, clips, 50).changes, screen(engine, last, clips).changes)


def test_no_group_has_rows_of_two_gold_labels(tmp_path: Path) -> None:
    prompts = draw_prompts(SHOTS, rows=70)
    found = screen(engine_of(model_of("gptj"), tmp_path), prompts, clips_of(model_of("gptj")), 60)
    golds: dict[int, set[int]] = {}
    for group, query in zip(found.groups, prompts.queries[10:], strict=True):
        golds.setdefault(group, set()).add(query.gold)
    assert all(len(each) == 1 for each in golds.values())
    assert len(golds) >= LEAST_GROUPS


def test_a_module_changes_by_the_sum_of_its_matrices(tmp_path: Path) -> None:
    engine, prompts = engine_of(model_of("gpt2"), tmp_path), draw_prompts(0)
    clips = [Clip(layer=1, module=module, clip_rate=0.5) for module in ("attn", "q", "k", "v", "o")]
    whole, *parts = screen(engine, prompts, clips, ROWS).changes
    np.testing.assert_allclose(whole, sum(parts), atol=1e-5)


@pytest.mark.parametrize("kept", [10**9, 0])
def test_where_a_block_s_factors_have_no_room_together_one_is_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    model, prompts, clips = model_of("gptj"), draw_prompts(SHOTS), clips_of(model_of("gptj"))
    roomy = screen(engine_of(model, tmp_path), prompts, clips, ROWS)
    made: list[weakref.ref[Tensor]] = []
    most = 0

    def get(self: FactorCache, weight: Tensor, name: str) -> Factors:
        nonlocal most
        factors = compute_factors(weight, name)
        made.append(weakref.ref(factors.u))
        most = max(most, sum(each() is not None for each in made))
        return factors

    monkeypatch.setattr(FactorCache, "get", get)
    monkeypatch.setattr(Room, "holds_factors", lambda *_: bool(kept))
    narrow = screen(engine_of(model, tmp_path), prompts, clips, ROWS)
    np.testing.assert_allclose(narrow.changes, roomy.changes, atol=1e-4)
    assert most > 3 if kept else most <= 2


def test_room_counts_factors_and_the_demonstrations(tmp_path: Path) -> None:
    engine, clips = engine_of(model_of("gptj"), tmp_path), clips_of(model_of("gptj"))
    sites = plan_sites(clips, engine.card, engine.layout)
    few, many = Room.of(engine, sites, 0), Room.of(engine, sites, 1000)
    hidden, layers = engine.card.hidden_size, engine.card.n_layers
    assert few.prefix_bytes == 0
    assert many.prefix_bytes == 4 * 1000 * (hidden * (layers + 1) + 2 * hidden * layers)
    assert few.passages_limit - many.passages_limit == many.prefix_bytes
    shapes = [(site.matrix.rows, site.matrix.cols) for site in sites[1]]
    factors = sum(4 * min(shape) * (sum(shape) + 1) for shape in shapes)
    assert few.holds_factors(1, few.limit - factors)
    assert not few.holds_factors(1, few.limit - factors + 1)


def test_a_screen_after_trials_holds_nothing_of_theirs(tmp_path: Path) -> None:
    engine, prompts, clips = engine_of(model_of("llama"), tmp_path), draw_prompts(SHOTS), clips_of(model_of("llama"))
    engine.score(prompts, resolve(clips[1:2], engine.card), 4)
    assert engine._kept._store.device_bytes > 0
    screen(engine, prompts, clips, ROWS)
    assert engine._kept._store.device_bytes == 0


def test_less_memory_takes_more_groups_and_gives_the_same(tmp_path: Path) -> None:
    prompts, clips = draw_prompts(0), clips_of(model_of("gptj"))
    roomy = screen(engine_of(model_of("gptj"), tmp_path), prompts, clips, ROWS)
    little = engine_of(model_of("gptj"), tmp_path, Budget(device_bytes=150_000, host_bytes=0))
    narrow = screen(little, prompts, clips, ROWS)
    np.testing.assert_allclose(narrow.changes, roomy.changes, atol=1e-4)


def test_where_memory_runs_out_half_the_rows_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts, clips = engine_of(model_of("gptj"), tmp_path), draw_prompts(SHOTS), clips_of(model_of("gptj"))
    whole, tried = screen(engine, prompts, clips, ROWS), []
    run = Backward.run

    def narrow(self: Backward, size: int, room: Room) -> None:
        tried.append(size)
        if size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        run(self, size, room)

    monkeypatch.setattr(Backward, "run", narrow)
    found = screen(engine, prompts, clips, ROWS)
    assert tried == [5, 2]
    assert len(set(found.groups)) == ROWS // 2
    np.testing.assert_allclose(found.changes.mean(axis=1), whole.changes.mean(axis=1), atol=1e-4)


def test_the_engine_gives_the_same_before_and_after(tmp_path: Path) -> None:
    engine, prompts, clips = engine_of(model_of("llama"), tmp_path), draw_prompts(SHOTS), clips_of(model_of("llama"))
    resolved = resolve(clips[1:2], engine.card)
    before = engine.score(prompts, resolved, 4).log_likelihoods
    screen(engine, prompts, clips, ROWS)
    assert torch.equal(engine.score(prompts, resolved, 4).log_likelihoods, before)


def test_it_costs_two_passes_forwards_one_backwards_and_two_for_the_projections(tmp_path: Path) -> None:
    engine, prompts, clips = engine_of(model_of("gptj"), tmp_path), draw_prompts(0), clips_of(model_of("gptj"))
    extents = measure_extents(prompts, 5)
    blocks = [engine.cost.block(layer, extent) for extent in extents for layer in (0, 1)]
    matrices, attention = map(sum, zip(*blocks, strict=True))
    heads = 2 * sum(map(engine.cost.head, extents))
    projections = screen(engine, prompts, clips, ROWS).operations - 3 * matrices - 4 * attention - heads
    assert matrices < projections <= 2 * matrices  # twice those of a square matrix


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    engine, clips = engine_of(model_of("gptj"), tmp_path), clips_of(model_of("gptj"))
    with pytest.raises(EvaluationError, match=r"of 49 rows says too little; expected 50 or more"):
        screen(engine, draw_prompts(0, rows=49), clips)


def test_a_model_on_full_prompts_is_refused(tmp_path: Path) -> None:
    model = model_of("openai-gpt")
    with pytest.raises(EvaluationError, match=r"these prompts are read whole \(full-prompts"):
        screen(engine_of(model, tmp_path), draw_prompts(0), clips_of(model))


def test_no_room_for_one_row_is_refused(tmp_path: Path) -> None:
    engine = engine_of(model_of("gptj"), tmp_path, Budget(device_bytes=1000, host_bytes=0))
    with pytest.raises(
        EvaluationError,
        match="factors of one matrix.* demonstrations.* raise cluster.activation_budget",
    ):
        screen(engine, draw_prompts(SHOTS), clips_of(model_of("gptj")))


def test_experts_are_refused(tmp_path: Path) -> None:
    engine = engine_of(model_of("mixtral"), tmp_path)
    with pytest.raises(EvaluationError, match="mlp.experts is no linear map"):
        screen(engine, draw_prompts(0), [Clip(layer=0, module="mlp", clip_rate=0.5)])


def test_clips_of_another_kind_are_refused(tmp_path: Path) -> None:
    engine = engine_of(model_of("gptj"), tmp_path)
    with pytest.raises(SpecError, match="a clip of kind 'zero' cannot be screened; expected 'svd'"):
        screen(engine, draw_prompts(0), [Clip(layer=0, module="mlp", clip_rate=0.5, kind="zero")])
