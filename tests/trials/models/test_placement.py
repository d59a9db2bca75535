"""A model spread over several devices gives the numbers it gives on one, and no tensor of one meets one of another.

The machine has no GPUs: ``tests.trials.devices`` stands in for them, and refuses what CUDA would refuse.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError, ModelError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.load import load_model
from clipsweep.trials.models.placement import assign_blocks, devices_of, spread
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import ARCHITECTURES, build_model, card_of, random_model
from tests.trials.devices import several_devices
from tests.trials.engine.test_exactness import (
    FOUR_SHOTS,
    LENGTHS,
    ONE_TOKEN,
    ROOMY,
    ROPES,
    SEVERAL_TOKENS,
    draw_prompts,
    draw_trials,
    stretching,
)

TWO, THREE = ([torch.device(f"cpu:{number}") for number in range(count)] for count in (2, 3))


def five_blocks() -> PreTrainedModel:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    special = {"vocab_size": 100, "bos_token_id": 0, "eos_token_id": 1}
    return random_model(LlamaConfig(**sizes, **special, num_hidden_layers=5, max_position_embeddings=256))


def score(model: PreTrainedModel, prompts: Prompts, cache: Path, budget: Budget = ROOMY) -> list[LabelScores]:
    """Scores of the untouched model and of clips of every third module and layer; each trial must succeed."""
    card = card_of(model)
    scored = Engine(model, card, FactorCache(cache), budget).score_all(
        prompts, [resolve(clips, card) for clips in draw_trials(card, 1)[::3]], 2
    )
    assert len(scored) > 2
    assert all(isinstance(each, LabelScores) for each in scored), scored
    return [each for each in scored if isinstance(each, LabelScores)]


def same(ours: list[LabelScores], theirs: list[LabelScores]) -> list[bool]:
    """Whether each trial gave the same bits in the same way."""
    return [
        torch.equal(a.log_likelihoods, b.log_likelihoods) and a.engine_path == b.engine_path
        for a, b in zip(ours, theirs, strict=True)
    ]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_architecture_gives_the_same_bits_on_two_devices_as_on_one(name: str, tmp_path: Path) -> None:
    prompts = draw_prompts(1, FOUR_SHOTS, LENGTHS, SEVERAL_TOKENS)
    alone = score(build_model(name), prompts, tmp_path)
    with several_devices() as devices:
        model = build_model(name)
        spread(model, TWO)
        before = {name: parameter.clone() for name, parameter in model.named_parameters()}
        together = score(model, prompts, tmp_path)
        assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(same(together, alone))
    assert all(devices.counts[device] > 500 for device in TWO)


@pytest.mark.parametrize(("on_device", "on_host"), [(0, 0), (0, 10**9), (40_000, 40_000)])
def test_what_is_captured_comes_back_to_its_own_device(on_device: int, on_host: int, tmp_path: Path) -> None:
    budget = Budget(device_bytes=on_device, host_bytes=on_host)
    prompts = draw_prompts(2, 9, LENGTHS, ONE_TOKEN)
    alone = score(five_blocks(), prompts, tmp_path)
    with several_devices():
        model = five_blocks()
        spread(model, THREE)
        assert all(same(score(model, prompts, tmp_path, budget), alone))


@pytest.mark.parametrize("rope", ROPES)
def test_prompts_that_stretch_positions_are_run_on_several_devices_too(rope: str, tmp_path: Path) -> None:
    prompts = draw_prompts(0, 10, (20, 9), ONE_TOKEN)
    alone = score(stretching(rope), prompts, tmp_path)
    with several_devices():
        model = stretching(rope)
        spread(model, TWO)
        assert all(same(score(model, prompts, tmp_path), alone))


def test_blocks_lie_in_turn_and_all_else_on_the_first_device() -> None:
    with several_devices():
        model = five_blocks()
        spread(model, THREE)
        where = {name: str(parameter.device) for name, parameter in model.named_parameters()}
        assert devices_of(model) == THREE
    blocks = [{where[name] for name in where if f"layers.{layer}." in name} for layer in range(5)]
    assert blocks == [{"cpu:0"}, {"cpu:1"}, {"cpu:1"}, {"cpu:2"}, {"cpu:2"}]  # the embeddings weigh about one block
    assert {where[name] for name in where if "layers" not in name} == {"cpu:0"}


def test_what_blocks_are_called_with_is_copied_once_to_each_device() -> None:
    with several_devices():
        model = five_blocks()
        spread(model, THREE)
        decoder = Decoder(model, find_layout(model))
        decoder.keys.hold([None] * 5, 0)
        with torch.inference_mode():
            opened = decoder.open(torch.tensor([[3, 4, 5]], device="cpu:0"), None)
        cosines = [arguments["position_embeddings"][0] for arguments in opened.arguments]
        assert [str(each.device) for each in cosines] == ["cpu:0", "cpu:1", "cpu:1", "cpu:2", "cpu:2"]
    assert cosines[1] is cosines[2]
    assert cosines[3] is cosines[4]


def test_a_checkpoint_is_loaded_onto_several_devices(tiny_model: Path, tmp_path: Path) -> None:
    prompts = draw_prompts(3, 5, LENGTHS, ONE_TOKEN)
    alone = score(load_model(tiny_model, "float32", "cpu"), prompts, tmp_path)
    with several_devices():
        model = load_model(tiny_model, "float32", "cpu:0", "cpu:1")
        assert devices_of(model) == TWO
        assert all(same(score(model, prompts, tmp_path), alone))


def test_a_model_on_one_device_is_not_wrapped(tiny_model: Path) -> None:
    model = load_model(tiny_model, "float32", "cpu")
    blocks = model.get_submodule(find_layout(model).blocks)
    assert not any("forward" in vars(module) for module in blocks.modules())


def test_a_layer_whose_numbers_are_not_finite_is_named_on_several_devices(tmp_path: Path) -> None:
    with several_devices():
        model = five_blocks()
        model.get_parameter("model.layers.3.input_layernorm.weight").fill_(torch.inf)
        spread(model, THREE)
        engine = Engine(model, card_of(model), FactorCache(tmp_path), ROOMY)
        with pytest.raises(EvaluationError, match="activations that leave layer 3 are not finite"):
            engine.score(
                draw_prompts(0, 3, LENGTHS, ONE_TOKEN),
                resolve((Clip(layer=4, module="mlp", clip_rate=0.5),), engine.card),
                2,
            )


@pytest.mark.parametrize(
    ("sizes", "besides", "n_devices", "numbers"),
    [
        ([1] * 8, 2, 2, [0, 0, 0, 1, 1, 1, 1, 1]),  # five on each
        ([1] * 8, 0, 4, [0, 0, 1, 1, 2, 2, 3, 3]),
        ([1, 1, 1], 100, 3, [0, 1, 2]),  # a device has one block at least
        ([4, 1, 1, 1, 1], 0, 2, [0, 1, 1, 1, 1]),
    ],
)
def test_devices_hold_about_as_much(sizes: list[int], besides: int, n_devices: int, numbers: list[int]) -> None:
    assert assign_blocks(sizes, besides, n_devices) == numbers


def test_more_devices_than_blocks_are_refused() -> None:
    with pytest.raises(ModelError, match="of 2 blocks cannot be spread over 3 devices.*Lower cluster.gpus_per_replica"):
        spread(build_model("llama"), THREE)


def test_blocks_that_share_more_than_their_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = build_model("llama")
    last, norm = model.model.layers[1], model.model.norm
    compute = last.forward
    monkeypatch.setattr(last, "forward", lambda hidden, **named: compute(norm(hidden), **named), raising=False)
    with several_devices(), pytest.raises(ModelError, match="cannot be spread over several.*gpus_per_replica: 1"):
        spread(model, TWO)


def test_the_stand_in_refuses_what_meets_on_two_devices_and_lets_copies_cross() -> None:
    with several_devices():
        first, second = nn.Linear(2, 2).to("cpu:0"), torch.ones(2, device="cpu:1")
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            first(second)
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            second + torch.ones(2)
        assert str(first(second.to("cpu:0")).device) == "cpu:0"
        assert str((2 * second + torch.tensor(1.0))[1:].device) == "cpu:1"
        assert second.cpu().device == torch.device("cpu")
