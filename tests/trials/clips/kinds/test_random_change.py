import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.random_change import RandomChange
from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import make_target


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FactorCache:
    return FactorCache(tmp_path_factory.mktemp("cache"))


def random_clip(clip_rate: float, seed: int = 0) -> Clip:
    return Clip(layer=0, module="mlp", clip_rate=clip_rate, kind="random", options=f'{{"seed": {seed}}}')


def draw_weight(rows: int, cols: int) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(10 * rows + cols))


def change(weight: Tensor, cache: FactorCache, seed: int = 0, place: str = "0 fc_in 0") -> Tensor:
    target = make_target(weight, cache, place=f"{place} of {tuple(weight.shape)}")
    return RandomChange().apply(random_clip(0.5, seed), target) - weight


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(2, 12), cols=st.integers(2, 12), percent=st.integers(1, 97))
def test_the_change_has_the_norm_and_the_rank_of_the_clips(
    cache: FactorCache, rows: int, cols: int, percent: int
) -> None:
    weight, clip = draw_weight(rows, cols), random_clip(percent / 100)
    target = make_target(weight, cache, place=f"{rows} {cols}")
    changed = RandomChange().apply(clip, target) - weight
    rank = kept_rank(clip.clip_rate, rows, cols)
    clipped = weight - target.factors().low_rank(rank)
    if RandomChange().leaves_alone(clip, Shape(rows, cols, 1)):
        assert rank == min(rows, cols)
    else:
        torch.testing.assert_close(changed.norm(), clipped.norm(), rtol=1e-4, atol=1e-5)
        assert int(torch.linalg.matrix_rank(changed, atol=1e-5)) == min(rows, cols) - rank


def test_each_seed_and_each_matrix_has_a_change_of_its_own_always_the_same(cache: FactorCache) -> None:
    weight = draw_weight(6, 9)
    first = change(weight, cache)
    assert torch.equal(first, change(weight, cache))
    assert not torch.allclose(first, change(weight, cache, seed=1), atol=1e-2)
    assert not torch.allclose(first, change(weight, cache, place="0 fc_in 1"), atol=1e-2)


def test_draws_of_others_do_not_matter_and_are_not_disturbed(cache: FactorCache) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    change(draw_weight(4, 4), cache)
    assert torch.equal(torch.rand(1), expected)


def test_nothing_is_saved_and_the_seed_counts() -> None:
    shape = Shape(6, 9, 1)
    assert RandomChange().parameters_kept(random_clip(0.5), shape) == 54
    assert RandomChange().fingerprint(random_clip(0.5), shape) != RandomChange().fingerprint(random_clip(0.5, 1), shape)
