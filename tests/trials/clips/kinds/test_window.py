from pathlib import Path

import pytest
import torch

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.window import Window
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import make_target

SIZES = [5.0, 4.0, 3.0, 2.0]


def window(first: int, end: int, clip_rate: float = 0.0) -> Clip:
    return Clip(layer=0, module="mlp", clip_rate=clip_rate, kind="window", options=f'{{"drop": [{first}, {end}]}}')


@pytest.mark.parametrize(
    ("first", "end", "left"),
    [(1, 3, [5, 0, 0, 2]), (0, 1, [0, 4, 3, 2]), (2, 99, [5, 4, 0, 0]), (0, 4, [0, 0, 0, 0])],
)
def test_the_ranks_of_the_window_are_dropped(first: int, end: int, left: list[int], tmp_path: Path) -> None:
    target = make_target(torch.diag(torch.tensor(SIZES)), FactorCache(tmp_path))
    made = Window().apply(window(first, end), target)
    torch.testing.assert_close(made, torch.diag(torch.tensor(left, dtype=torch.float32)))
    if rank := Window().thin_rank(window(first, end), Shape(4, 4, 1)):
        up, down = Window().factors(window(first, end), target).thin(rank)
        torch.testing.assert_close(up @ down, made)


def test_a_matrix_without_a_rank_in_the_window_is_left_alone() -> None:
    assert Window().leaves_alone(window(4, 9), Shape(4, 7, 1))
    assert not Window().leaves_alone(window(3, 9), Shape(4, 7, 1))


def test_windows_that_drop_the_same_ranks_are_one_trial_whatever_their_rates() -> None:
    shape = Shape(4, 7, 1)
    assert Window().fingerprint(window(1, 4), shape) == Window().fingerprint(window(1, 99, 0.5), shape) == "1-4"
    assert Window().parameters_kept(window(1, 4), shape) == 11
