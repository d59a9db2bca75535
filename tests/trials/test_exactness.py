"""Whatever the architecture, the engine gives what clipping the weights in place and running each prompt alone gives.

In float32 every prediction is the same, and scores without the constant of their query agree to 1e-5 of the spread of
the logits: their standard deviation over the vocabulary, at the positions that the scores are read from. A prediction
is not judged where the reference itself is undecided to within that error; in the fixed cases there is no such one.
"""

import functools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from tests.trials.architectures import ARCHITECTURES, VOCABULARY_SIZE, build_model, card_of
from tests.trials.reference import OneByOne, centred, edit_in_place, run_one_by_one
from trials.activations import Budget
from trials.engine import Engine, LabelScores
from trials.errors import EvaluationError
from trials.factors import FactorCache
from trials.model_card import ModelCard
from trials.prompts import Prompts, Query, Tokens
from trials.values import Clip

TOLERANCE = 1e-5
FALLBACK = "openai-gpt"  # keeps no keys
BLOCKWISE = sorted({*ARCHITECTURES} - {FALLBACK})
PARALLEL = {"gptj", "gpt_neox", "phi", "falcon-7b", "falcon-40b"}
SLIDING = ("mistral", "gemma2", "gemma3_text", "gpt_neo")
ROOMY = Budget(device_bytes=10**9, host_bytes=0)
LENGTHS = (1, 15, 4, 9, 1)
FOUR_SHOTS = 28  # tokens: more than three windows of the sliding ones
ONE_TOKEN: tuple[Tokens, ...] = ((5,), (6,), (7,))
SEVERAL_TOKENS: tuple[Tokens, ...] = ((7, 8), (9,), (10, 11, 12))

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@functools.cache
def model_of(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    return build_model(name, seed).to(dtype)  # type: ignore[arg-type]


@functools.cache
def shapes_of(name: str) -> ModelCard:
    return card_of(model_of(name))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def make_engine(model: PreTrainedModel, cache: Path, budget: Budget = ROOMY) -> Engine:
    return Engine(model, card_of(model), FactorCache(cache), budget)


def draw_tokens(draw: random.Random, count: int) -> Tokens:
    return tuple(draw.randrange(2, VOCABULARY_SIZE) for _ in range(count))


def draw_prompts(seed: int, prefix: int, lengths: Sequence[int], labels: tuple[Tokens, ...]) -> Prompts:
    draw = random.Random(seed)
    queries = tuple(Query(tokens=draw_tokens(draw, length), labels=labels, gold=0) for length in lengths)
    return Prompts(prefix=draw_tokens(draw, prefix), queries=queries)


def draw_trials(card: ModelCard, seed: int) -> list[tuple[Clip, ...]]:
    """The untouched model, every module of every layer at some rate, and a joint clip of two layers."""
    draw = random.Random(seed)
    modules = ("attn", "mlp", "all", *card.roles("all"))
    places = [(layer, module) for layer in range(card.n_layers) for module in modules]
    single = [(Clip(layer=layer, module=module, clip_rate=draw.uniform(0.1, 0.95)),) for layer, module in places]
    return [(), *single, (Clip(layer=0, module="mlp", clip_rate=0.7), Clip(layer=1, module="attn", clip_rate=0.5))]


def assert_equal(scored: LabelScores | EvaluationError, expected: OneByOne) -> int:
    """Compare one trial with the reference; the number of queries that the reference itself leaves undecided."""
    assert isinstance(scored, LabelScores)
    scores = centred(scored.log_likelihoods)
    error = (scores - centred(expected.scores)).abs().max()
    assert error <= TOLERANCE * expected.spread
    best, second = expected.scores.topk(2, dim=1).values.T
    decided = best - second > TOLERANCE * expected.spread
    assert torch.equal(scores.argmax(dim=1)[decided], expected.scores.argmax(dim=1)[decided])
    return int((~decided).sum())


@every_architecture
@pytest.mark.parametrize("labels", [ONE_TOKEN, SEVERAL_TOKENS], ids=["single", "several"])
@pytest.mark.parametrize("prefix", [0, 1, FOUR_SHOTS])
def test_every_clip_gives_what_editing_in_place_and_running_each_prompt_alone_gives(
    name: str, prefix: int, labels: tuple[Tokens, ...], cache: Path
) -> None:
    model = model_of(name)
    prompts = draw_prompts(prefix, prefix, LENGTHS, labels)
    trials = draw_trials(shapes_of(name), prefix)
    scored = make_engine(model, cache).score_all(prompts, trials, microbatch=2)
    expected = [run_one_by_one(edit_in_place(model, clips), prompts) for clips in trials]
    assert sum(map(assert_equal, scored, expected)) == 0
