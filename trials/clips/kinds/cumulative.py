"""The kind ``cumulative``: each rate of a ladder on what the rate before left, as the release's search goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.clips.kinds.randomised import lowrank, release_rank
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.target import Target


class Cumulative(Kind):
    """Keeps what a randomised SVD leaves of what those of all smaller rates left, as the paper's release searches.

    The rates are those of the option ``rates`` below the clip's own, and then the clip's. Each is applied as
    ``randomised`` applies it, with one stream of draws, and rounded to the model's dtype before the next.

    Source:
        Yao, Hu, Yang and Liu (2024), arXiv:2406.03768, its released code.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Never: not even at full rank."""
        return False

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        return shape.parameters_at(_ranks(clip, shape.full_rank)[-1])

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        """The ranks that were left, one after the other, and the seed."""
        return f"{'-'.join(map(str, _ranks(clip, shape.full_rank)))} seed {clip.option('seed')}"

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of the last rank, in the model's dtype."""
        from clipsweep.trials.clips.factors import finite

        left = finite(target.weight, target.name)
        draw = target.generator(clip.option("seed"))
        for rank in _ranks(clip, min(left.shape)):
            left = lowrank(left.float(), rank, draw).to(target.weight.dtype)
        return left


def _ranks(clip: Clip, full: int) -> list[int]:
    """The rank after each rate, the clip's own last."""
    below = [rate for rate in clip.option("rates") if rate < clip.clip_rate]
    return [release_rank(rate, full) for rate in (*below, clip.clip_rate)]
