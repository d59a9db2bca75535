from pathlib import Path

import torch

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.tail import Tail
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import kind_clip, make_target

WEIGHT = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0]))[:, :4]


def test_the_rate_is_the_share_dropped_from_the_largest(tmp_path: Path) -> None:
    made = Tail().apply(kind_clip("tail", clip_rate=0.75), make_target(WEIGHT, FactorCache(tmp_path)))
    torch.testing.assert_close(made, torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0])))


def test_it_keeps_as_many_as_svd_does_never_fewer_than_one() -> None:
    assert Tail().fingerprint(kind_clip("tail", clip_rate=0.99), Shape(4, 9, 1)) == 1
    assert Tail().parameters_kept(kind_clip("tail", clip_rate=0.75), Shape(4, 9, 1)) == 13
    assert Tail().leaves_alone(kind_clip("tail", clip_rate=0.0), Shape(4, 9, 1))
