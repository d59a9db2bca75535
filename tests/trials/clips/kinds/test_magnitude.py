from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.magnitude import Magnitude
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import kind_clip, make_target


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FactorCache:
    return FactorCache(tmp_path_factory.mktemp("cache"))


def test_the_smallest_entries_become_zero_and_of_equal_ones_the_first(cache: FactorCache) -> None:
    weight = torch.tensor([[3.0, -1.0, 1.0], [-2.0, 1.0, 0.5]])
    made = Magnitude().apply(kind_clip("magnitude", clip_rate=0.5), make_target(weight, cache))
    assert torch.equal(made, torch.tensor([[3.0, 0.0, 0.0], [-2.0, 1.0, 0.0]]))


def test_entries_are_counted_half_up_on_the_rate_as_written() -> None:
    assert Magnitude().fingerprint(kind_clip("magnitude", clip_rate=0.9), Shape(4, 5, 1)) == 2  # 1 in floating point
    assert Magnitude().parameters_kept(kind_clip("magnitude", clip_rate=0.95), Shape(5, 10, 1)) == 3


def test_a_rate_that_zeroes_no_entry_leaves_the_matrix_alone() -> None:
    assert Magnitude().leaves_alone(kind_clip("magnitude", clip_rate=0.0), Shape(4, 5, 1))
    assert Magnitude().leaves_alone(kind_clip("magnitude", clip_rate=0.01), Shape(4, 5, 1))
    assert not Magnitude().leaves_alone(kind_clip("magnitude", clip_rate=0.05), Shape(4, 5, 1))


@settings(deadline=None)
@given(rate=st.integers(1, 99), rows=st.integers(1, 6), cols=st.integers(1, 6), values=st.integers(1, 3))
def test_what_stays_is_as_it_was_and_no_smaller_than_what_went(
    cache: FactorCache, rate: int, rows: int, cols: int, values: int
) -> None:
    draw = torch.Generator().manual_seed(rate)
    weight = torch.randint(1, 1 + values, (rows, cols), generator=draw).to(torch.bfloat16)
    clip = kind_clip("magnitude", clip_rate=rate / 100)
    made = Magnitude().apply(clip, make_target(weight, cache))
    stayed = made != 0
    assert int(stayed.sum()) == Magnitude().parameters_kept(clip, Shape(rows, cols, 1))
    assert torch.equal(made[stayed], weight[stayed])
    assert made.dtype == weight.dtype
    if not stayed.all():
        assert weight[~stayed].max() <= weight[stayed].min()


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    weight = torch.tensor([[1.0, torch.nan]])
    with pytest.raises(EvaluationError, match="0 fc_in 0 has 1 weights of 2 that are not finite"):
        Magnitude().apply(kind_clip("magnitude"), make_target(weight, FactorCache(tmp_path)))
