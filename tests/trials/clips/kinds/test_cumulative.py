from pathlib import Path

import torch

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kinds.cumulative import Cumulative
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import make_target

LADDER = '{"rates": [0, 0.5, 0.75]}'


def ladder_clip(clip_rate: float, options: str | None = LADDER) -> Clip:
    return Clip(layer=0, module="mlp", clip_rate=clip_rate, kind="cumulative", options=options)


def test_its_identity_has_every_rank_on_the_way() -> None:
    fingerprints = [Cumulative().fingerprint(ladder_clip(rate), Shape(8, 9, 1)) for rate in (0.0, 0.5, 0.6, 0.9)]
    assert fingerprints == ["8 seed 0", "8-4 seed 0", "8-4-3 seed 0", "8-4-2-0 seed 0"]


def test_without_rates_the_ladder_is_the_published_one() -> None:
    assert Cumulative().fingerprint(ladder_clip(0.9, None), Shape(4096, 4096, 1)) == "4096-3686-2048-1024-409 seed 0"


def test_each_step_starts_from_what_the_step_before_left_in_the_models_dtype(tmp_path: Path) -> None:
    weight = torch.randn(8, 9, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    target = make_target(weight, FactorCache(tmp_path))
    torch.manual_seed(target.generator(0).initial_seed())
    left = weight
    for rank in (8, 4, 2):
        u, s, v = torch.svd_lowrank(left.float(), q=rank, niter=2)
        left = ((u * s) @ v.T).to(torch.bfloat16)
    made = Cumulative().apply(ladder_clip(0.75), target)
    assert made.dtype == torch.bfloat16
    assert torch.equal(made, left)


def test_after_a_rank_of_0_nothing_is_left(tmp_path: Path) -> None:
    weight = torch.randn(8, 9, generator=torch.Generator().manual_seed(0))
    options = '{"rates": [0, 0.9, 0.95]}'
    made = Cumulative().apply(ladder_clip(0.95, options), make_target(weight, FactorCache(tmp_path)))
    assert made.count_nonzero() == 0
