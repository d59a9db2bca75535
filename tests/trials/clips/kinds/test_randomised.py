from pathlib import Path

import pytest
import torch

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.randomised import Randomised, lowrank, release_rank
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import kind_clip, make_target


@pytest.mark.parametrize(
    ("clip_rate", "size", "rank"),
    [
        (0.0, 4096, 4096),
        (0.1, 4096, 3686),
        (0.75, 4096, 1024),
        (0.95, 4096, 204),  # these three as the released code was seen to give them
        (0.99, 4096, 40),
        (0.995, 4096, 20),
        (0.995, 192, 0),
    ],
)
def test_ranks_are_those_of_the_release(clip_rate: float, size: int, rank: int) -> None:
    assert release_rank(clip_rate, size) == rank
    assert rank == int(size * (10 - round(clip_rate * 10, 3)) * 0.1)


@pytest.mark.parametrize("shape", [(20, 32), (32, 20), (20, 20)])
@pytest.mark.parametrize("rank", [1, 7, 20])
def test_it_is_torchs_svd_lowrank_bit_by_bit(shape: tuple[int, int], rank: int) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(5)
    u, s, v = torch.svd_lowrank(weight, q=rank, niter=2)
    assert torch.equal(lowrank(weight, rank, torch.Generator().manual_seed(5)), (u * s) @ v.T)


def test_rank_0_leaves_zeros(tmp_path: Path) -> None:
    weight = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))
    clip = kind_clip("randomised", clip_rate=0.9)
    assert Randomised().apply(clip, make_target(weight, FactorCache(tmp_path))).count_nonzero() == 0
    assert Randomised().parameters_kept(clip, Shape(9, 12, 1)) == 0


def test_a_rate_of_0_is_a_trial_of_its_own_which_is_not_quite_the_untouched_matrix(tmp_path: Path) -> None:
    weight = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))
    clip = kind_clip("randomised", clip_rate=0.0)
    made = Randomised().apply(clip, make_target(weight, FactorCache(tmp_path)))
    assert not clip.is_idle
    assert not Randomised().leaves_alone(clip, Shape(9, 12, 1))
    assert not torch.equal(made, weight)
    torch.testing.assert_close(made, weight)


def test_the_seed_is_part_of_the_identity() -> None:
    clips = [
        Clip(layer=0, module="mlp", clip_rate=0.5, kind="randomised", options=text) for text in (None, '{"seed":1}')
    ]
    assert [Randomised().fingerprint(clip, Shape(8, 8, 1)) for clip in clips] == ["4 seed 0", "4 seed 1"]
