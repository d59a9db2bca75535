import pytest
import torch
from torch import Tensor

from clipsweep.trials.decoder.arguments import take, trim
from clipsweep.trials.decoder.unsupported import NotUnderstood

POSITIONS = torch.tensor([[4, 2], [0, 1]])  # of two sequences of five tokens


def numbered(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


def test_a_mask_keeps_its_rows_at_the_positions() -> None:
    mask = numbered(2, 1, 5, 7)
    (trimmed,) = trim({"attention_mask": mask}, POSITIONS, 5).values()
    expected = torch.stack([mask[0, :, [4, 2]], mask[1, :, [0, 1]]])
    assert torch.equal(trimmed, expected)


def test_a_tensor_that_all_sequences_share_is_cut_for_each() -> None:
    ids = numbered(1, 5)
    assert torch.equal(trim({"position_ids": ids}, POSITIONS, 5)["position_ids"], POSITIONS)


def test_cosines_and_sines_inside_a_tuple_are_cut() -> None:
    cosines = numbered(2, 5, 3)
    trimmed = trim({"position_embeddings": (cosines, cosines)}, POSITIONS, 5)["position_embeddings"]
    assert torch.equal(trimmed[0], take(cosines, POSITIONS))
    assert trimmed[0] is trimmed[1]


def test_a_bias_of_the_keys_alone_stays_as_it_is() -> None:
    bias = numbered(2, 4, 1, 7)
    assert trim({"alibi": bias}, POSITIONS, 5)["alibi"] is bias


def test_a_tensor_of_another_kind_is_a_finding() -> None:
    with pytest.raises(NotUnderstood, match=r"called with a tensor of shape \(3, 4\)"):
        trim({"state": numbered(3, 4)}, POSITIONS, 5)


def test_several_positions_without_a_mask_to_cut_are_a_finding() -> None:
    with pytest.raises(NotUnderstood, match="no mask to cut rows from"):
        trim({"attention_mask": None}, POSITIONS, 5)
