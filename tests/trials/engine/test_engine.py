import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.cost import Extent, measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.kept_passes import KeptPasses
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.engine.microbatches import plan_microbatches
from clipsweep.trials.engine.probe import TOLERANCE
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.load import load_model
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.trials.reference import centred, edit_in_place, score_one_by_one

ROOMY = Budget(device_bytes=10**9, host_bytes=0)
CLIPS: list[tuple[Clip, ...]] = [
    (),
    *((Clip(layer=layer, module=module, clip_rate=0.6),) for layer in (0, 1) for module in ("attn", "mlp", "all", "q")),
    (Clip(layer=0, module="attn", clip_rate=0.9), Clip(layer=1, module="mlp", clip_rate=0.5)),
]


@dataclass
class Bench:
    """A tiny model with all that an engine needs."""

    model: PreTrainedModel
    card: ModelCard
    engine: Engine
    folder: Path
    cache: Path

    def prompts(self, shots: int = 3, labels: tuple[str, ...] | None = None) -> Prompts:
        task = load_task(TaskSettings(name="episodes", validation_size=23, test_size=0, seed=2), self.cache)
        if labels:
            rows = tuple(replace(row, answers=labels) for row in task.splits["validation"])
            task = replace(task, splits={"validation": rows})
        wanted = PromptSet(shots=shots, demo_seed=0, split="validation")
        return encode_prompts(task, load_tokenizer(self.folder), wanted, self.card.context_length)


@pytest.fixture
def bench(tiny_model: Path, cache: Path) -> Bench:
    card = describe_checkpoint(tiny_model, "float32", cache)
    model = load_model(tiny_model, "float32", "cpu")
    engine = Engine(model, card, FactorCache(cache), ROOMY)
    return Bench(model, card, engine, tiny_model, cache)


def make_engine(bench: Bench, budget: Budget) -> Engine:
    return Engine(bench.model, bench.card, FactorCache(bench.cache), budget)


def kept_of(engine: Engine) -> KeptPasses:
    assert engine._by_blocks is not None
    return engine._by_blocks._kept


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    found = model.get_submodule(find_layout(model).blocks)
    assert isinstance(found, nn.ModuleList)
    return found


def last_block(model: PreTrainedModel) -> nn.Module:
    return blocks(model)[-1]


def digest(model: PreTrainedModel) -> str:
    state = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        state.update(name.encode() + tensor.numpy().tobytes())
    return state.hexdigest()


@pytest.mark.parametrize("clips", CLIPS, ids=lambda clips: "+".join(f"{c.module}{c.layer}" for c in clips) or "base")
@pytest.mark.parametrize("shots", [0, 3])
def test_scores_equal_editing_in_place_and_running_each_prompt_alone(
    bench: Bench, clips: tuple[Clip, ...], shots: int
) -> None:
    prompts = bench.prompts(shots)
    expected = centred(score_one_by_one(edit_in_place(bench.model, clips), prompts))
    scores = centred(bench.engine.score(prompts, resolve(clips, bench.card), microbatch=4).log_likelihoods)
    assert torch.equal(scores.argmax(dim=1), expected.argmax(dim=1))
    torch.testing.assert_close(scores, expected, atol=2e-5, rtol=0)


def test_labels_of_several_tokens_are_scored_like_one_by_one(bench: Bench) -> None:
    prompts = bench.prompts(labels=(" RED", " GREEN BLUE"))
    clips = (Clip(layer=1, module="mlp", clip_rate=0.8),)
    expected = score_one_by_one(edit_in_place(bench.model, clips), prompts)
    torch.testing.assert_close(
        bench.engine.score(prompts, resolve(clips, bench.card), 5).log_likelihoods, expected, atol=2e-5, rtol=0
    )


def test_prompts_with_no_common_token_are_scored_like_one_by_one(bench: Bench) -> None:
    prompts = bench.prompts()
    bare = Prompts(
        prefix=(), queries=tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    )
    scores = centred(bench.engine.score(bare, resolve((), bench.card), 4).log_likelihoods)
    torch.testing.assert_close(scores, centred(score_one_by_one(bench.model, bare)), atol=2e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_model_is_loaded_clipped_and_scored_in_each_dtype(bench: Bench, dtype: str) -> None:
    model = load_model(bench.folder, dtype, "cpu")
    engine = Engine(model, describe_checkpoint(bench.folder, dtype, bench.cache), FactorCache(bench.cache), ROOMY)
    both = (
        each.score(bench.prompts(), resolve(CLIPS[-1], bench.card), 8).log_likelihoods
        for each in (engine, bench.engine)
    )
    scores, exact = map(centred, both)
    assert {str(parameter.dtype) for parameter in model.parameters()} == {f"torch.{dtype}"}
    assert (scores - exact).abs().max() <= TOLERANCE[model.dtype] * exact.abs().max()  # what the engine allows itself


def test_the_microbatch_does_not_change_a_prediction(bench: Bench) -> None:
    prompts = bench.prompts()
    sizes = [bench.engine.score(prompts, resolve((), bench.card), size).log_likelihoods for size in (1, 7, 64)]
    assert all(torch.equal(scores.argmax(dim=1), sizes[0].argmax(dim=1)) for scores in sizes)


def test_a_trial_leaves_every_byte_as_it_was(bench: Bench) -> None:
    before = digest(bench.model)
    bench.engine.score(bench.prompts(), resolve(CLIPS[-1], bench.card), 8)
    assert digest(bench.model) == before


def test_weights_are_restored_when_scoring_raises(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, prompts = digest(bench.model), bench.prompts()

    def fail(*args: Any, **kwargs: Any) -> None:
        assert digest(bench.model) != before
        raise ValueError("in the middle")

    bench.engine.score(prompts, resolve((), bench.card), 8)  # captured: what fails now is the trial
    monkeypatch.setattr(last_block(bench.model), "forward", fail)
    with pytest.raises(ValueError, match="in the middle"):
        bench.engine.score(prompts, resolve((Clip(layer=0, module="mlp", clip_rate=0.5),), bench.card), 8)
    assert digest(bench.model) == before


def test_clips_start_from_the_original_weights_each_time(bench: Bench) -> None:
    prompts, harsh = bench.prompts(), (Clip(layer=0, module="all", clip_rate=0.95),)
    mild = (Clip(layer=0, module="all", clip_rate=0.3),)
    alone = bench.engine.score(prompts, resolve(mild, bench.card), 8).log_likelihoods
    bench.engine.score(prompts, resolve(harsh, bench.card), 8)
    assert torch.equal(bench.engine.score(prompts, resolve(mild, bench.card), 8).log_likelihoods, alone)


def test_trials_give_the_same_numbers_alone_and_together(bench: Bench) -> None:
    prompts = bench.prompts()
    together = bench.engine.score_all(prompts, [resolve(clips, bench.card) for clips in CLIPS], 4)
    for clips, scored in zip(CLIPS, together, strict=True):
        assert isinstance(scored, LabelScores)
        alone = make_engine(bench, ROOMY).score(prompts, resolve(clips, bench.card), 4)
        assert torch.equal(alone.log_likelihoods, scored.log_likelihoods)


@pytest.mark.parametrize("budget", [0, 20_000, 100_000])
def test_the_budget_does_not_change_a_number(bench: Bench, budget: int) -> None:
    prompts, engine = bench.prompts(), make_engine(bench, Budget(device_bytes=budget, host_bytes=0))
    engine.announce(starts_of([clip for clips in CLIPS for clip in clips], bench.card))
    for clips in CLIPS:
        expected = bench.engine.score(prompts, resolve(clips, bench.card), 4).log_likelihoods
        assert torch.equal(engine.score(prompts, resolve(clips, bench.card), 4).log_likelihoods, expected)


def count_blocks(engine: Engine, model: PreTrainedModel, prompts: Prompts, layers: Sequence[int]) -> int:
    """Calls of a block in a sweep over layers, three clips at each."""
    calls: list[int] = []
    hooks = [block.register_forward_pre_hook(lambda *_: calls.append(1)) for block in blocks(model)]
    engine.announce(starts_of([Clip(layer=layer, module="mlp", clip_rate=0.5) for layer in layers], engine.card))
    for layer in layers:
        clips = [(Clip(layer=layer, module="mlp", clip_rate=rate),) for rate in (0.5, 0.7, 0.9)]
        for some in (clips[:2], clips[2:]):
            engine.score_all(prompts, [resolve(clips, engine.card) for clips in some], 4)
    for hook in hooks:
        hook.remove()
    return len(calls)


@pytest.mark.parametrize("deepest_first", [True, False])
def test_a_budget_for_a_third_of_the_activations_costs_no_more_than_two_passes(
    bench: Bench, tmp_path: Path, cache: Path, deepest_first: bool
) -> None:
    config = bench.model.config
    config.num_hidden_layers = n_layers = 9
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "deep")
    load_tokenizer(bench.folder).save_pretrained(tmp_path / "deep")
    model = load_model(tmp_path / "deep", "float32", "cpu")
    card = describe_checkpoint(tmp_path / "deep", "float32", cache)
    prompts, layers = bench.prompts(), sorted(range(n_layers), reverse=deepest_first)
    roomy = Engine(model, card, FactorCache(cache), ROOMY)
    least = count_blocks(roomy, model, prompts, layers)
    third = Budget(device_bytes=kept_of(roomy)._store.device_bytes // 3, host_bytes=0)
    tight = Engine(model, card, FactorCache(cache), third)
    microbatches = len(list(plan_microbatches(prompts, 4)))
    assert 0 < count_blocks(tight, model, prompts, layers) - least <= 2 * n_layers * microbatches


@pytest.mark.parametrize(("trials_bytes", "again"), [(10**9, False), (0, True)])
def test_prompts_are_read_once_as_long_as_their_prefixes_fit(bench: Bench, trials_bytes: int, again: bool) -> None:
    engine = make_engine(bench, Budget(device_bytes=10**9, host_bytes=0, trials_bytes=trials_bytes))
    sets = [bench.prompts().part(0, 3) for _ in range(5)]
    for prompts in sets:
        engine.score(prompts, resolve((), bench.card), 3)
    reads = count_reads(bench.model, len(sets[0].prefix), lambda: engine.score(sets[0], resolve((), bench.card), 3))
    assert (reads > 0) is again


def count_reads(model: PreTrainedModel, tokens: int, work: Callable[[], object]) -> int:
    """How often the first block runs on one sequence of so many tokens while something is done."""
    shapes: list[torch.Size] = []
    hook = blocks(model)[0].register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    work()
    hook.remove()
    return sum(shape[:2] == (1, tokens) for shape in shapes)


RACED = (Clip(layer=0, module="mlp", clip_rate=0.5), Clip(layer=0, module="attn", clip_rate=0.9))


def race(engine: Engine, prompts: Prompts, card: ModelCard) -> list[list[LabelScores]]:
    """The parts of two trials, as a race goes through them: all of a part before the next."""
    cuts = (0, *prompts.cuts, len(prompts.queries))
    parts = [prompts.part(*rows) for rows in pairwise(cuts)]
    return [[engine.score(part, resolve((clip,), card), 4) for clip in RACED] for part in parts]


@pytest.mark.parametrize(("trials_bytes", "reads"), [(10**9, 2), (0, 6)])
def test_the_prefix_is_read_once_for_all_parts_of_a_trial_as_long_as_that_fits(
    bench: Bench, trials_bytes: int, reads: int
) -> None:
    engine = make_engine(bench, Budget(device_bytes=10**9, host_bytes=0, trials_bytes=trials_bytes))
    prompts = replace(bench.prompts(), cuts=(5, 10))
    engine.announce(starts_of(RACED, bench.card))
    engine.score(prompts, resolve((), bench.card), 4)
    found = count_reads(bench.model, len(prompts.prefix), lambda: race(engine, prompts, bench.card))
    assert found == reads  # of two trials over three parts


def test_the_prefix_of_the_untouched_model_is_read_once_for_all_parts(bench: Bench) -> None:
    engine, prompts = make_engine(bench, ROOMY), replace(bench.prompts(), cuts=(5, 10))
    engine.score(prompts.part(0, 5), resolve((), bench.card), 4)
    later = prompts.part(5, 10), prompts.part(10, len(prompts.queries))
    untouched = resolve((), bench.card)
    found = count_reads(bench.model, len(prompts.prefix), lambda: [engine.score(each, untouched, 4) for each in later])
    assert found == 0


def test_no_more_is_kept_of_trials_than_their_budget(bench: Bench) -> None:
    prompts, clips = bench.prompts().part(0, 5), [resolve((clip,), bench.card) for clip in RACED]
    sizes = []
    for each in clips:
        roomy = make_engine(bench, ROOMY)
        roomy.score(prompts, each, 4)
        sizes.append(kept_of(roomy).trials.n_bytes)
    for limit, kept in [(sum(sizes), sum(sizes)), (sum(sizes) - 1, sizes[1]), (min(sizes) - 1, 0)]:
        engine = make_engine(bench, Budget(device_bytes=10**9, host_bytes=0, trials_bytes=limit))
        for each in clips:
            engine.score(prompts, each, 4)
        assert kept_of(engine).trials.n_bytes == kept


def test_parts_are_charged_what_they_ran(bench: Bench) -> None:
    prompts = replace(bench.prompts(), cuts=(5, 10))
    kept, again = (
        race(make_engine(bench, Budget(device_bytes=10**9, host_bytes=0, trials_bytes=room)), prompts, bench.card)
        for room in (10**9, 0)
    )
    for number, clip in enumerate(RACED):
        whole = bench.engine.score(prompts, resolve((clip,), bench.card), 4)
        prefix = Extent(sequences=1, tokens=len(prompts.prefix), before=0)
        read = bench.engine.cost.trial([prefix], bench.engine.start_of(resolve((clip,), bench.card)))
        assert sum(part[number].operations for part in kept) == whole.operations
        assert sum(part[number].operations for part in again) == whole.operations + 2 * read


def test_what_a_trial_has_read_is_not_kept_after_its_last_part(bench: Bench) -> None:
    engine, prompts = make_engine(bench, ROOMY), replace(bench.prompts(), cuts=(5,))
    clips = resolve(RACED[:1], bench.card)
    engine.score(prompts.part(0, 5), clips, 4)
    assert kept_of(engine).trials.n_bytes > 0
    engine.score(prompts.part(5, len(prompts.queries)), clips, 4)
    assert kept_of(engine).trials.n_bytes == 0


def test_what_is_read_of_the_demonstrations_again_is_held_once(bench: Bench) -> None:
    engine, prompts = make_engine(bench, ROOMY), replace(bench.prompts(), cuts=(5,))
    late, early = (resolve((Clip(layer=layer, module="attn", clip_rate=0.5),), bench.card) for layer in (1, 0))
    engine.score(prompts.part(0, 5), late, 4)
    passes = next(iter(kept_of(engine)._kept.values()))[1]
    before = passes.keys
    reads = count_reads(bench.model, len(prompts.prefix), lambda: engine.score(prompts.part(0, 5), early, 4))
    assert reads == 2  # by the untouched model, as nothing was captured at that layer, and by the trial
    assert all(now is first for now, first in zip(passes.keys, before, strict=True))
    fresh = make_engine(bench, ROOMY).score(prompts.part(0, 5), late, 4)
    assert torch.equal(engine.score(prompts.part(0, 5), late, 4).log_likelihoods, fresh.log_likelihoods)


def test_out_of_memory_gives_up_what_trials_have_read_and_their_numbers_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, prompts = make_engine(bench, ROOMY), replace(bench.prompts(), cuts=(5,))
    first, second = (resolve((clip,), bench.card) for clip in RACED)
    parts = prompts.part(0, 5), prompts.part(5, len(prompts.queries))
    expected = bench.engine.score(prompts, first, 4).log_likelihoods
    for clips in (first, second):
        engine.score(parts[0], clips, 4)
    captured = kept_of(engine)._store.device_bytes
    fail_once(monkeypatch, last_block(bench.model))
    scored = engine.score(parts[1], first, 4)
    assert torch.equal(scored.log_likelihoods[5:], expected[5:])
    assert kept_of(engine).trials.n_bytes == 0
    assert kept_of(engine)._store.device_bytes >= captured  # nothing else had to go


def test_announcing_where_trials_start_does_not_change_a_number(bench: Bench) -> None:
    prompts, engine = bench.prompts(), make_engine(bench, ROOMY)
    engine.announce(starts_of([clip for clips in CLIPS for clip in clips], bench.card))
    for clips in CLIPS:
        expected = bench.engine.score(prompts, resolve(clips, bench.card), 4).log_likelihoods
        assert torch.equal(engine.score(prompts, resolve(clips, bench.card), 4).log_likelihoods, expected)


def test_out_of_memory_gives_up_activations_then_halves_the_microbatch_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, block = bench.prompts(), last_block(bench.model)
    expected = bench.engine.score(prompts, resolve((), bench.card), 2).log_likelihoods
    forward, engine = block.forward, make_engine(bench, ROOMY)

    def small_only(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(hidden) > 2:
            raise torch.OutOfMemoryError("too large")
        return forward(hidden, *args, **kwargs)

    monkeypatch.setattr(block, "forward", small_only)
    scored = engine.score(prompts, resolve((), bench.card), 8)
    assert scored.microbatch == 2
    assert torch.equal(scored.log_likelihoods, expected)


def test_out_of_memory_gives_up_what_is_held_of_other_prompts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sets = make_engine(bench, ROOMY), [bench.prompts() for _ in range(2)]
    clips = (Clip(layer=0, module="mlp", clip_rate=0.5),)
    expected = [engine.score(prompts, resolve(clips, bench.card), 4).log_likelihoods for prompts in sets]
    fail_once(monkeypatch, last_block(bench.model))
    assert torch.equal(engine.score(sets[1], resolve(clips, bench.card), 4).log_likelihoods, expected[1])
    assert [kept for kept, _ in kept_of(engine)._kept.values()] == [sets[1]]


def fail_once(monkeypatch: pytest.MonkeyPatch, block: nn.Module) -> None:
    """Let a block run out of memory the next time that it is called, and never again."""
    failures, forward = iter([torch.OutOfMemoryError("once")]), block.forward

    def fail(*args: Any, **kwargs: Any) -> Any:
        for error in failures:
            raise error
        return forward(*args, **kwargs)

    monkeypatch.setattr(block, "forward", fail)


def test_running_out_of_memory_once_does_not_end_capturing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts = make_engine(bench, ROOMY), bench.prompts()
    clips = [resolve((Clip(layer=1, module="mlp", clip_rate=rate),), bench.card) for rate in (0.5, 0.7)]
    engine.score(prompts, clips[0], 4)
    before = kept_of(engine)._store.device_bytes
    fail_once(monkeypatch, last_block(bench.model))
    engine.score(prompts, clips[1], 4)
    assert before / 4 < kept_of(engine)._store.device_bytes <= before / 2
    engine.score(bench.prompts(), clips[1], 4)
    assert kept_of(engine)._store.device_bytes > before


def test_a_query_that_never_fits_in_memory_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = bench.prompts()

    def never(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(last_block(bench.model), "forward", never)
    with pytest.raises(EvaluationError, match="a microbatch of one does not fit"):
        bench.engine.score(prompts, resolve((), bench.card), 8)


@pytest.mark.parametrize("layer", [0, 1])
def test_activations_that_are_not_finite_name_the_layer(bench: Bench, layer: int) -> None:
    with torch.no_grad():
        next(blocks(bench.model)[layer].parameters()).fill_(float("inf"))
    with pytest.raises(EvaluationError, match=f"activations that leave layer {layer} are not finite"):
        bench.engine.score(bench.prompts(), resolve((), bench.card), 8)


def test_weights_that_are_not_finite_end_their_trial_alone_and_are_named(bench: Bench) -> None:
    engine = make_engine(bench, ROOMY)
    with torch.no_grad():
        name, weight = next((n, p) for n, p in bench.model.named_parameters() if "1.mlp" in n and p.ndim == 2)
        weight[0, 0] = float("nan")
    failed, whole = engine.score_all(
        bench.prompts(),
        [
            resolve((Clip(layer=1, module="mlp", clip_rate=0.5),), bench.card),
            resolve((Clip(layer=0, module="q", clip_rate=0.5),), bench.card),
        ],
        8,
    )
    assert isinstance(failed, EvaluationError)
    assert "layer 1" in str(failed)
    assert name in str(failed)
    assert isinstance(whole, EvaluationError)  # its own activations meet the same weights
    assert "activations that leave layer 1" in str(whole)


@pytest.mark.parametrize("labels", [None, (" RED", " GREEN BLUE")])
@pytest.mark.parametrize("clips", CLIPS, ids=lambda clips: "+".join(f"{c.module}{c.layer}" for c in clips) or "base")
def test_the_cost_model_counts_what_torch_counts(
    bench: Bench, labels: tuple[str, ...] | None, clips: tuple[Clip, ...]
) -> None:
    prompts = bench.prompts(labels=labels)
    bench.model.set_attn_implementation("eager")  # torch does not count its fused attention on a CPU
    engine = make_engine(bench, ROOMY)
    engine.score(bench.prompts(labels=labels), resolve((), bench.card), 4)  # the same, tried against alone
    engine.announce(starts_of([clip for clips in CLIPS for clip in clips], bench.card))
    with FlopCounterMode(display=False) as base:
        untouched = engine.score(prompts, resolve((), bench.card), 4)
    with FlopCounterMode(display=False) as forming:
        edit_weights(bench.model, find_layout(bench.model), resolve(clips, bench.card), FactorCache(bench.cache))
    with FlopCounterMode(display=False) as trial:
        scored = engine.score(prompts, resolve(clips, bench.card), 4)
    assert engine.cost.base(measure_extents(prompts, 4, branches=True)) + untouched.operations == base.get_total_flops()
    assert scored.operations == trial.get_total_flops() - forming.get_total_flops()
