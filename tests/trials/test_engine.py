import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from tests.trials.reference import edit_in_place, score_one_by_one
from trials.checkpoints import describe_checkpoint
from trials.cost import trial_operations
from trials.engine import Engine
from trials.errors import EvaluationError
from trials.factors import FactorCache
from trials.model_card import ModelCard
from trials.models import load_model, load_tokenizer
from trials.prompts import Prompts, encode_prompts
from trials.tasks import load_task
from trials.values import Clip, PromptSet, TaskSettings

CLIPS = [
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
            task = replace(task, template=replace(task.template, labels=labels))
        wanted = PromptSet(shots=shots, demo_seed=0, split="validation")
        return encode_prompts(task, load_tokenizer(self.folder), wanted, self.card.context_length)


@pytest.fixture
def bench(tiny_model: Path, cache: Path) -> Bench:
    card = describe_checkpoint(tiny_model, "float32", cache)
    model = load_model(tiny_model, "float32", "cpu")
    return Bench(model, card, Engine(model, card, FactorCache(cache)), tiny_model, cache)


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
    expected = score_one_by_one(edit_in_place(bench.model, clips), prompts)
    scores = bench.engine.score(prompts, clips, microbatch=4).log_likelihoods
    assert torch.equal(scores.argmax(dim=1), expected.argmax(dim=1))
    torch.testing.assert_close(scores, expected, atol=2e-5, rtol=0)


def test_labels_of_several_tokens_are_scored_like_one_by_one(bench: Bench) -> None:
    prompts = bench.prompts(labels=(" RED", " GREEN BLUE"))
    clips = (Clip(layer=1, module="mlp", clip_rate=0.8),)
    expected = score_one_by_one(edit_in_place(bench.model, clips), prompts)
    torch.testing.assert_close(bench.engine.score(prompts, clips, 5).log_likelihoods, expected, atol=2e-5, rtol=0)


def test_prompts_with_no_common_token_are_scored_like_one_by_one(bench: Bench) -> None:
    prompts = bench.prompts()
    bare = Prompts(
        prefix=(), queries=tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    )
    scores = bench.engine.score(bare, (), 4).log_likelihoods
    torch.testing.assert_close(scores, score_one_by_one(bench.model, bare), atol=2e-5, rtol=0)


def test_the_microbatch_does_not_change_a_prediction(bench: Bench) -> None:
    prompts = bench.prompts()
    sizes = [bench.engine.score(prompts, (), size).log_likelihoods for size in (1, 7, 64)]
    assert all(torch.equal(scores.argmax(dim=1), sizes[0].argmax(dim=1)) for scores in sizes)


def test_a_trial_leaves_every_byte_as_it_was(bench: Bench) -> None:
    before = digest(bench.model)
    bench.engine.score(bench.prompts(), CLIPS[-1], 8)
    assert digest(bench.model) == before


def test_weights_are_restored_when_scoring_raises(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, prompts = digest(bench.model), bench.prompts()

    def fail(*args: Any, **kwargs: Any) -> None:
        assert digest(bench.model) != before
        raise RuntimeError("in the middle")

    monkeypatch.setattr(bench.model, "forward", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        bench.engine.score(prompts, CLIPS[-1], 8)
    assert digest(bench.model) == before


def test_clips_start_from_the_original_weights_each_time(bench: Bench) -> None:
    prompts, harsh = bench.prompts(), (Clip(layer=0, module="all", clip_rate=0.95),)
    mild = (Clip(layer=0, module="all", clip_rate=0.3),)
    alone = bench.engine.score(prompts, mild, 8).log_likelihoods
    bench.engine.score(prompts, harsh, 8)
    assert torch.equal(bench.engine.score(prompts, mild, 8).log_likelihoods, alone)


def test_out_of_memory_halves_the_microbatch_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, forward = bench.prompts(), bench.model.forward
    expected = bench.engine.score(prompts, (), 2).log_likelihoods

    def small_only(ids: torch.Tensor, **kwargs: Any) -> Any:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("too large")
        return forward(ids, **kwargs)

    monkeypatch.setattr(bench.model, "forward", small_only)
    scored = bench.engine.score(prompts, (), 8)
    assert scored.microbatch == 2
    assert torch.equal(scored.log_likelihoods, expected)


def test_a_query_that_never_fits_in_memory_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = bench.prompts()

    def never(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setattr(bench.model, "forward", never)
    with pytest.raises(EvaluationError, match="one query alone does not fit"):
        bench.engine.score(prompts, (), 8)


def test_scores_that_are_not_finite_are_an_error(bench: Bench) -> None:
    with torch.no_grad():
        bench.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(EvaluationError, match="scores of example 0 are not finite"):
        bench.engine.score(bench.prompts(), (), 8)


@pytest.mark.parametrize("labels", [None, (" RED", " GREEN BLUE")])
def test_the_cost_model_counts_what_torch_counts(bench: Bench, labels: tuple[str, ...] | None) -> None:
    prompts = bench.prompts(labels=labels)
    bench.model.set_attn_implementation("eager")  # torch does not count its fused attention on a CPU
    with FlopCounterMode(display=False) as counter:
        bench.engine.score(prompts, (), 4)
    assert trial_operations(bench.card, prompts, 4) == counter.get_total_flops()
