import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.clips.factors import compute_factors
from clipsweep.trials.clips.svd import Svd, kept_rank
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape


@pytest.mark.parametrize(
    ("clip_rate", "size", "kept"),
    [
        (0.9, 20, 2),  # floor((1 - 0.9) * 20) is 1 in floating point
        (0.95, 50, 3),  # 2.5, half up
        (0.995, 192, 1),  # 0.96
        (0.999, 100, 1),  # never fewer than one
        (0.0, 7, 7),
        (0.75, 4096, 1024),
    ],
)
def test_kept_rank_rounds_half_up_on_the_rate_as_written(clip_rate: float, size: int, kept: int) -> None:
    assert kept_rank(clip_rate, size, 2 * size) == kept


@given(st.decimals(min_value="0", max_value="0.999", places=3), st.integers(1, 8192))
def test_kept_rank_lies_between_one_and_full(rate: object, size: int) -> None:
    assert 1 <= kept_rank(float(str(rate)), size, size) <= size


def test_two_thin_factors_of_its_rank_say_the_same() -> None:
    weight = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    clip = Clip(layer=0, module="mlp", clip_rate=0.75)
    rank = Svd().thin_rank(clip, Shape(12, 20, 1))
    factors = compute_factors(weight, "w")
    up, down = factors.thin(rank)
    assert (up.shape, down.shape, rank) == ((12, 3), (3, 20), 3)
    torch.testing.assert_close(up @ down, factors.low_rank(3), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(up.norm(), down.norm())  # halves of the singular values, so that half precision does
