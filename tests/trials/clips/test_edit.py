import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.edit import edit_weights, swapped
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import ARCHITECTURES, build_model, card_of
from tests.trials.reference import GROUPS, marked
from tests.trials.spec.test_clip import make_clip


def saved(model: PreTrainedModel, folder: Path) -> ModelCard:
    model.save_pretrained(folder / "model")
    return describe_checkpoint(folder / "model", "float32", folder / "cache")


def edits(model: PreTrainedModel, folder: Path, *clips: Clip) -> dict[str, Tensor]:
    cache = FactorCache(folder / "cache")
    return edit_weights(model, find_layout(model), resolve(clips, saved(model, folder)), cache)


def bits(tensor: Tensor) -> Tensor:
    """The bytes of a float32 tensor, four to an integer."""
    return tensor.detach().contiguous().view(torch.int32)


def truncated(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    low: Tensor = (u[:, :rank] * s[:rank]) @ vh[:rank]
    return low


def test_a_clipped_matrix_is_its_truncated_svd(tmp_path: Path) -> None:
    model = build_model("gptj")
    edited = edits(model, tmp_path, make_clip(layer=1, module="fc_in", clip_rate=0.75))
    name = "transformer.h.1.mlp.fc_in.weight"
    assert list(edited) == [name]
    torch.testing.assert_close(edited[name], truncated(model.get_parameter(name), 8))  # a quarter of 32


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_clip_of_a_role_changes_all_its_entries_and_no_others(name: str, tmp_path: Path) -> None:
    model = build_model(name)
    layout, card, factors = find_layout(model), card_of(model), FactorCache(tmp_path)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for layer, role in itertools.product(range(card.n_layers), sorted(GROUPS["all"])):
        expected = marked(model, layer, role)
        assert ((layer, role) in layout.matrices) == any(mark.any() for mark in expected.values())
        if (layer, role) in layout.matrices:
            edited = edit_weights(
                model, layout, resolve([make_clip(layer=layer, module=role, clip_rate=0.6)], card), factors
            )
            with swapped(model, edited):
                changed = {name: bits(parameter) != bits(before[name]) for name, parameter in model.named_parameters()}
            assert [name for name in changed if not torch.equal(changed[name], expected[name])] == []
    assert all(torch.equal(bits(parameter), bits(before[name])) for name, parameter in model.named_parameters())


def test_a_clip_of_a_fused_weight_leaves_its_other_rows(tmp_path: Path) -> None:
    model = build_model("phi3")  # rows of qkv_proj: 32 of queries, 16 of keys, 16 of values
    edited = edits(model, tmp_path, make_clip(layer=0, module="k", clip_rate=0.5))
    name = "model.layers.0.self_attn.qkv_proj.weight"
    original = model.get_parameter(name)
    assert list(edited) == [name]
    assert torch.equal(edited[name][:32], original[:32])
    assert torch.equal(edited[name][48:], original[48:])
    torch.testing.assert_close(edited[name][32:48], truncated(original[32:48], 8))


def test_two_clips_of_one_fused_weight_are_both_in_its_copy(tmp_path: Path) -> None:
    model = build_model("gpt2")
    clips = make_clip(layer=0, module="q", clip_rate=0.5), make_clip(layer=0, module="v", clip_rate=0.9)
    edited = edits(model, tmp_path, *clips)
    parts = torch.split(edited["transformer.h.0.attn.c_attn.weight"], 32, dim=1)
    ranks = [int(torch.linalg.matrix_rank(part)) for part in parts]
    assert ranks == [16, 32, 3]


def test_each_expert_is_clipped_alone_and_at_the_rank_of_its_own_shape(tmp_path: Path) -> None:
    model = build_model("qwen2_moe")
    edited = edits(model, tmp_path, make_clip(layer=0, module="gate", clip_rate=0.5))
    experts, shared = "model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.shared_expert.gate_proj.weight"
    assert set(edited) == {experts, shared}
    torch.testing.assert_close(edited[shared], truncated(model.get_parameter(shared), 12))  # of (24, 32)
    for copy, original in zip(edited[experts], model.get_parameter(experts), strict=True):
        torch.testing.assert_close(copy[:20], truncated(original[:20], 10))
        assert torch.equal(copy[20:], original[20:])


def test_matrices_at_full_rank_are_not_copied(tmp_path: Path) -> None:
    assert edits(build_model("llama"), tmp_path, make_clip(layer=0, module="all", clip_rate=0.001)) == {}


def test_half_precision_is_rounded_once(tmp_path: Path) -> None:
    model = build_model("gptj").bfloat16()
    name = "transformer.h.0.attn.q_proj.weight"
    edited = edits(model, tmp_path, make_clip(layer=0, module="q", clip_rate=0.5))
    original = model.get_parameter(name)
    factors = FactorCache(tmp_path / "cache").get(original, name)
    assert torch.equal(edited[name], factors.low_rank(16).bfloat16())


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    model = build_model("llama")
    model.get_parameter("model.layers.1.mlp.up_proj.weight")[0, 0] = torch.nan
    with pytest.raises(EvaluationError, match=r"layer 1 up \(model\.layers\.1\.mlp\.up_proj\.weight\)"):
        edits(model, tmp_path, make_clip(layer=1, module="up"))


def interrupt(model: PreTrainedModel, edited: dict[str, Tensor]) -> None:
    assert edited
    with swapped(model, edited):
        assert all(model.get_parameter(name).data_ptr() == tensor.data_ptr() for name, tensor in edited.items())
        raise KeyboardInterrupt


@pytest.mark.parametrize("inference", [False, True])
def test_parameters_point_at_their_own_bytes_again_even_after_an_error(tmp_path: Path, inference: bool) -> None:
    model = build_model("gptj")
    edited = edits(model, tmp_path, make_clip(layer=0, module="all"))
    before = {name: (parameter.data_ptr(), parameter.clone()) for name, parameter in model.named_parameters()}
    with torch.inference_mode(inference), pytest.raises(KeyboardInterrupt):
        interrupt(model, edited)
    for name, parameter in model.named_parameters():
        address, values = before[name]
        assert parameter.data_ptr() == address
        assert torch.equal(parameter, values)


def test_a_swapped_model_computes_with_the_edited_weights(tmp_path: Path) -> None:
    model, ids = build_model("gptj"), torch.tensor([[1, 2, 3]])
    edited = edits(model, tmp_path, make_clip(layer=0, module="mlp"))
    with torch.inference_mode():
        before = model(ids).logits
        with swapped(model, edited):
            inside = model(ids).logits
        after = model(ids).logits
    assert torch.equal(after, before)
    assert not torch.allclose(inside, before)
