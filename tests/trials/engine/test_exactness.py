"""Whatever the architecture, the engine gives what clipping the weights in place and running each prompt alone gives.

In float32 every prediction is the same, and scores without the constant of their query agree to 1e-5 of the spread of
the logits: their standard deviation over the vocabulary, at the positions that the scores are read from. A prediction
is not judged where the reference itself is undecided to within that error; in the fixed cases there is no such one.
"""

import copy
import functools
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.edit import edit_weights, swapped
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import ARCHITECTURES, VOCABULARY_SIZE, WINDOW, build_model, card_of, random_model
from tests.trials.reference import OneByOne, centred, edit_in_place, run_one_by_one, score_one_by_one

TOLERANCE = 1e-5
FALLBACK = "openai-gpt"  # keeps no keys
BLOCKWISE = sorted({*ARCHITECTURES} - {FALLBACK})
PARALLEL = {"gptj", "gpt_neox", "phi", "falcon-7b", "falcon-40b"}
SLIDING = ("mistral", "gemma2", "gemma3_text", "gpt_neo")
ROOMY = Budget(device_bytes=10**9, host_bytes=0)
LENGTHS = (1, 15, 6, 1)
FOUR_SHOTS = 28  # tokens: more than three windows of the sliding ones
ONE_TOKEN: tuple[Tokens, ...] = ((5,), (6,), (7,))
SEVERAL_TOKENS: tuple[Tokens, ...] = ((7, 8, 9), (10,))

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@functools.cache
def model_of(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    return build_model(name, seed).to(dtype)


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


def draw_prompts(
    seed: int,
    prefix: int,
    lengths: Sequence[int],
    labels: tuple[Tokens, ...],
    scoring: Scoring = Scoring.LOGLIKELIHOOD,
) -> Prompts:
    draw = random.Random(seed)
    queries = tuple(Query(tokens=draw_tokens(draw, length), labels=labels, gold=0) for length in lengths)
    shared = draw_tokens(draw, prefix)
    if scoring is Scoring.MEAN_LOGIT:  # every position counts, so none is kept apart
        shared, queries = (), tuple(replace(query, tokens=shared + query.tokens) for query in queries)
    return Prompts(prefix=shared, queries=queries, scoring=scoring)


def draw_trials(card: ModelCard, seed: int) -> list[tuple[Clip, ...]]:
    """The untouched model, every module of every layer at some rate, a joint clip, and all layers at once."""
    draw = random.Random(seed)
    modules = ("attn", "mlp", "all", *card.roles("all"))
    places = [(layer, module) for layer in range(card.n_layers) for module in modules]
    single = [(Clip(layer=layer, module=module, clip_rate=draw.uniform(0.1, 0.95)),) for layer, module in places]
    joint = (Clip(layer=0, module="mlp", clip_rate=0.7), Clip(layer=1, module="attn", clip_rate=0.5))
    every_layer = tuple(Clip(layer=layer, module="mlp", clip_rate=0.6) for layer in range(card.n_layers))
    return [(), *single, joint, every_layer]


def assert_equal(scored: LabelScores | EvaluationError, expected: OneByOne, tolerance: float = TOLERANCE) -> int:
    """Compare one trial with the reference; the number of queries that the reference itself leaves undecided."""
    assert isinstance(scored, LabelScores)
    scores = centred(scored.log_likelihoods)
    error = (scores - centred(expected.scores)).abs().max()
    assert error <= tolerance * expected.spread
    best, second = expected.scores.topk(2, dim=1).values.T
    decided = best - second > tolerance * expected.spread
    assert torch.equal(scores.argmax(dim=1)[decided], expected.scores.argmax(dim=1)[decided])
    return int((~decided).sum())


@every_architecture
@pytest.mark.parametrize(
    ("prefix", "labels"),
    [
        pytest.param(0, SEVERAL_TOKENS, marks=pytest.mark.slow, id="no-prefix"),
        pytest.param(1, ONE_TOKEN, marks=pytest.mark.slow, id="prefix-of-one"),
        pytest.param(FOUR_SHOTS, ONE_TOKEN, marks=pytest.mark.slow, id="four-shots"),
        pytest.param(FOUR_SHOTS, SEVERAL_TOKENS, id="four-shots-long-labels"),
    ],
)
def test_every_clip_gives_what_editing_in_place_and_running_each_prompt_alone_gives(
    name: str, prefix: int, labels: tuple[Tokens, ...], cache: Path
) -> None:
    model = model_of(name)
    prompts = draw_prompts(prefix, prefix, LENGTHS, labels)
    trials = draw_trials(shapes_of(name), prefix)
    engine = make_engine(model, cache)
    scored = engine.score_all(prompts, [resolve(clips, engine.card) for clips in trials], microbatch=2)
    expected = [run_one_by_one(edit_in_place(model, clips), prompts) for clips in trials]
    assert sum(map(assert_equal, scored, expected)) == 0


@pytest.mark.parametrize("name", BLOCKWISE)
def test_only_what_a_clip_changes_is_run(name: str, cache: Path) -> None:
    engine = make_engine(model_of(name), cache)
    prompts = draw_prompts(0, 3, LENGTHS, ONE_TOKEN)
    trials = [(Clip(layer=1, module=module, clip_rate=0.5),) for module in ("all", "mlp", "attn")]
    paths = [engine.score(prompts, resolve(clips, engine.card), 2).engine_path for clips in trials]
    assert engine.runs_blocks
    assert paths == ["blocks", "sub-layer", "sub-layer" if name in PARALLEL else "blocks"]


def test_a_model_that_keeps_no_keys_is_run_on_full_prompts_and_says_so_once(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        engine = make_engine(model_of(FALLBACK), cache)
        prompts = draw_prompts(0, 3, LENGTHS, ONE_TOKEN)
        trials = [(), (Clip(layer=0, module="mlp", clip_rate=0.5),), (Clip(layer=1, module="q", clip_rate=0.5),)]
        paths = [engine.score(prompts, resolve(clips, engine.card), 2).engine_path for clips in trials]
    assert paths == ["full-prompts"] * 3
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["openai-gpt is run on full prompts"]


def logits_of(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([draw_tokens(random.Random(0), 30)])).logits
    return logits


@pytest.mark.parametrize(
    ("name", "setting", "without"),
    [
        ("mistral", "sliding_window", None),
        ("gemma2", "sliding_window", 256),
        ("gemma3_text", "sliding_window", 256),
        ("gpt_neo", "window_size", 256),
        ("gemma2", "attn_logit_softcapping", None),
        ("gemma2", "final_logit_softcapping", None),
    ],
)
def test_windows_and_softcapping_count_in_these_models(name: str, setting: str, without: Any) -> None:
    config: Any = ARCHITECTURES[name]()
    assert getattr(config, setting) not in (None, without)
    setattr(config, setting, without)
    assert not torch.allclose(logits_of(random_model(config)), logits_of(model_of(name)), atol=1e-2)


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "gpt2", "gemma2"])
def test_embeddings_of_these_models_are_tied(name: str) -> None:
    model = model_of(name)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("name", ["gemma2", "gemma3_text"])
def test_embeddings_of_these_models_are_scaled_by_the_root_of_their_width(name: str) -> None:
    model, ids = model_of(name), torch.tensor([[3, 4]])
    entering = model(ids, output_hidden_states=True).hidden_states[0]
    torch.testing.assert_close(entering, model.get_input_embeddings().weight[ids] * 32**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One drawn trial."""

    name: str
    seed: int
    clips: tuple[Clip, ...]
    prompts: Prompts
    microbatch: int
    budget: int
    announced: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from(sorted(ARCHITECTURES)))
    card = shapes_of(name)
    layers = draw(st.lists(st.integers(0, card.n_layers - 1), max_size=3, unique=True))
    modules = st.sampled_from(("attn", "mlp", "all", *card.roles("all")))
    rates = st.integers(0, 97).map(lambda percent: percent / 100)
    label = st.lists(st.integers(2, VOCABULARY_SIZE - 1), min_size=1, max_size=draw(st.integers(1, 3))).map(tuple)
    labels = draw(st.lists(label, min_size=2, max_size=3, unique=True))
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    scoring = draw(st.sampled_from([Scoring.LOGLIKELIHOOD, Scoring.MEAN_LOGLIKELIHOOD, Scoring.MEAN_LOGIT]))
    return Case(
        name=name,
        seed=draw(st.integers(0, 1)),
        clips=tuple(Clip(layer=layer, module=draw(modules), clip_rate=draw(rates)) for layer in layers),
        prompts=draw_prompts(draw(st.integers(0, 99)), draw(st.integers(0, 40)), lengths, tuple(labels), scoring),
        microbatch=draw(st.integers(1, 6)),
        budget=draw(st.sampled_from([0, 20_000, 10**9])),
        announced=draw(st.booleans()),
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=cases())
def test_whatever_is_drawn_gives_what_editing_in_place_and_running_each_prompt_alone_gives(
    case: Case, cache: Path
) -> None:
    model = model_of(case.name, case.seed)
    engine = make_engine(model, cache, Budget(device_bytes=case.budget, host_bytes=0))
    engine.announce(starts_of(case.clips if case.announced else (), engine.card))
    expected = run_one_by_one(edit_in_place(model, case.clips), case.prompts)
    assert_equal(engine.score(case.prompts, resolve(case.clips, engine.card), case.microbatch), expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_changes_no_more_predictions_than_its_rounding_does(
    dtype: torch.dtype, cache: Path, record_property: Any
) -> None:
    # A product of other shapes adds in another order, so some predictions differ from editing in place. Those that
    # editing in place itself changes against float32 say how many are that close; a hundredth allows for chance.
    # Measured over 21 architectures, 5040 predictions: bfloat16 5 differ (30 from float32), float16 1 (3).
    prompts = draw_prompts(0, FOUR_SHOTS, [1 + 7 * number % 15 for number in range(40)], ONE_TOKEN)
    counted, differing, rounded = 0, 0, 0
    for name in ("gpt2", "llama", "mixtral", "gemma2", "opt"):
        model = model_of(name, dtype=dtype)
        engine = make_engine(model, cache)
        assert engine.runs_blocks
        for clips in draw_trials(shapes_of(name), 0)[::4]:
            scores = engine.score(prompts, resolve(clips, engine.card), 8).log_likelihoods
            half = score_one_by_one(edit_in_place(model, clips), prompts).argmax(dim=1)
            whole = score_one_by_one(edit_in_place(copy.deepcopy(model).float(), clips), prompts).argmax(dim=1)
            counted += len(scores)
            differing += int((scores.argmax(dim=1) != half).sum())
            rounded += int((half != whole).sum())
    report = f"{differing} of {counted} differ from editing in place; of that, {rounded} differ from float32"
    record_property(str(dtype), report)
    print(f"{dtype}: {report}")
    assert counted >= 1000
    assert differing <= rounded + 0.01 * counted


@pytest.mark.parametrize("name", SLIDING)
def test_neither_padding_nor_the_microbatch_counts_under_a_sliding_window(name: str, cache: Path) -> None:
    model = model_of(name)
    lengths = (1, 2, 3 * WINDOW, 5)  # padded by more than a window, the last tokens of a row attend to no token at all
    prompts = draw_prompts(0, FOUR_SHOTS, lengths, ONE_TOKEN)
    clips = (Clip(layer=0, module="attn", clip_rate=0.5),)
    expected = run_one_by_one(edit_in_place(model, clips), prompts)
    engine = make_engine(model, cache)
    assert (
        sum(assert_equal(engine.score(prompts, resolve(clips, engine.card), size), expected) for size in (1, 2, 3, 4))
        == 0
    )


ROPES: dict[str, dict[str, Any]] = {
    "dynamic": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
    "longrope": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 16,
        "short_factor": [1.0, 1.0, 1.0, 1.0],
        "long_factor": [2.0, 3.0, 4.0, 5.0],
    },
}


def stretching(rope: str) -> PreTrainedModel:
    """A model whose rotary positions depend on the length of a prompt of more than 16 tokens."""
    config = LlamaConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings={"dynamic": 16, "longrope": 64}[rope],
        rope_parameters=dict(ROPES[rope]),
        bos_token_id=0,
        eos_token_id=1,
    )
    return random_model(config)


def run_in_fresh_models(rope: str, clips: Sequence[Clip], prompts: Prompts) -> OneByOne:
    """The reference with a new model for each sequence: transformers' dynamic positions remember the longest so far."""
    scores = [
        read_whole(edit_in_place(stretching(rope), clips), prompts, query, label)
        for query in prompts.queries
        for label in query.labels
    ]
    spread = run_one_by_one(stretching(rope), prompts).spread
    shaped = torch.stack(scores).reshape(len(prompts.queries), -1)
    return OneByOne(scores=shaped, leads=torch.full_like(shaped, torch.nan), spread=spread)


def read_whole(model: PreTrainedModel, prompts: Prompts, query: Query, label: Tokens) -> Tensor:
    """Score of a label from one pass over all of its text; over the prompt alone where each label is one token."""
    alone = prompts.prefix + query.tokens
    text = alone if max(map(len, query.labels)) == 1 and prompts.scoring is not Scoring.MEAN_LOGIT else alone + label
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([text])).logits[0].float()
    if prompts.scoring is Scoring.MEAN_LOGIT:
        return logits.mean()
    each = logits.log_softmax(dim=-1)[range(len(alone) - 1, len(alone) + len(label) - 1), list(label)]
    return each.mean() if prompts.scoring is Scoring.MEAN_LOGLIKELIHOOD else each.sum()


@pytest.mark.parametrize("rope", ROPES)
@pytest.mark.parametrize("labels", [ONE_TOKEN, SEVERAL_TOKENS], ids=["single", "several"])
def test_a_prompt_that_stretches_positions_is_run_whole_and_as_if_alone(
    rope: str, labels: tuple[Tokens, ...], cache: Path
) -> None:
    engine = make_engine(stretching(rope), cache)
    prompts = draw_prompts(0, 10, (20, 9, 6), labels)  # one has a label within 16 tokens and another beyond
    for clips in ((), (Clip(layer=0, module="mlp", clip_rate=0.5),)):
        scored = engine.score(prompts, resolve(clips, engine.card), 3)
        assert scored.engine_path == "full-prompts"
        assert_equal(scored, run_in_fresh_models(rope, clips, prompts))


@pytest.mark.parametrize("rope", ROPES)
def test_short_prompts_share_their_prefix_even_after_long_ones(rope: str, cache: Path) -> None:
    engine = make_engine(stretching(rope), cache)
    engine.score(draw_prompts(0, 10, (20,), ONE_TOKEN), resolve((), engine.card), 3)
    prompts = draw_prompts(1, 0, (16, 16), ONE_TOKEN)
    scored = engine.score(prompts, resolve((), engine.card), 1)
    assert scored.engine_path == "blocks"
    assert_equal(scored, run_in_fresh_models(rope, (), prompts))


_COMMON = {"vocab_size": VOCABULARY_SIZE, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
_WIDE = {
    **_COMMON,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
GROUPED = {**_WIDE, "num_key_value_heads": 2}
OTHERS: dict[str, tuple[Any, dict[str, Any], bool]] = {
    "granite": (transformers.GraniteConfig, {**GROUPED, "residual_multiplier": 0.5}, True),
    "glm": (transformers.GlmConfig, {**GROUPED, "head_dim": 8}, True),
    "olmo": (transformers.OlmoConfig, {**GROUPED, "clip_qkv": 3.0}, True),  # clamps its queries in place
    "mpt": (transformers.MptConfig, {**_COMMON, "d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 256}, True),
    "gpt_neox_japanese": (transformers.GPTNeoXJapaneseConfig, _WIDE, True),  # its attention answers a bias as well
    "lfm2": (  # keeps the state of a convolution
        transformers.Lfm2Config,
        {**GROUPED, "layer_types": ["full_attention", "conv"], "block_multiple_of": 8},
        False,
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_decoders_that_nobody_listed_are_exact_too(name: str, cache: Path) -> None:
    config, given, by_blocks = OTHERS[name]
    model = random_model(config(**given))
    engine, card = make_engine(model, cache), card_of(model)
    prompts = draw_prompts(0, FOUR_SHOTS, LENGTHS, ONE_TOKEN)
    last = max(layer for layer, _ in card.shapes)
    for layer, module in [(0, "attn"), (0, "mlp"), (last, "mlp")]:
        clips = (Clip(layer=layer, module=module, clip_rate=0.5),)
        with swapped(model, edit_weights(model, engine.layout, resolve(clips, engine.card), engine.factors)):
            expected = run_one_by_one(model, prompts)
        assert_equal(engine.score(prompts, resolve(clips, engine.card), 2), expected)
    assert engine.runs_blocks == by_blocks
