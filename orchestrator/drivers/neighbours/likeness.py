"""How alike points are before any has been evaluated: the kernel of the model over points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import MODULES

Numbers = NDArray[np.float64]


class Shape(NamedTuple):
    """What the data decide of a kernel.

    Attributes:
        layers: Over how many layers likeness falls to 1/e.
        common: What clips of different matrices have in common, in [0, 1].
        depth: Over what change of the logarithm of a clip's depth likeness falls to 1/e.
        own: What of each point no other tells, in [0, 1].
    """

    layers: float
    common: float
    depth: float
    own: float


SHAPES = tuple(Shape(*each) for each in product((0.5, 4.0), (0.2, 0.7), (0.3, 1.0), (0.1, 0.4)))
LEAST_DEPTH = 1e-3  # of a clip that drops nothing, or hardly anything
USUAL = Shape(layers=4.0, common=0.7, depth=1.0, own=0.1)


class Likeness:
    """Correlations of points: of clips near each other in layer, matrices and rate; of several clips, their sum.

    The depth of a clip is minus the logarithm of the share of singular values that it keeps. Modules are alike as far
    as they share matrices. A point of several clips is the sum of what its clips are alone, deep ones weighing more, so
    points are alike as far as they share such clips.
    """

    def __init__(self, points: Sequence[tuple[Clip, ...]]) -> None:
        """Look at the clips of each point; the untouched model is no point.

        Args:
            points: Each with a clip at least.
        """
        clips = list(dict.fromkeys(clip for point in points for clip in point))
        place = {clip: number for number, clip in enumerate(clips)}
        self._has = np.zeros((len(points), len(clips)))
        for number, point in enumerate(points):
            self._has[number, [place[clip] for clip in point]] = 1
        depths = np.maximum(-np.log1p(-np.array([clip.clip_rate for clip in clips])), LEAST_DEPTH)
        layers = np.array([clip.layer for clip in clips], dtype=np.float64)
        self._layers_apart = np.abs(layers[:, None] - layers)
        self._depth_apart = np.abs(np.log(depths)[:, None] - np.log(depths))
        self._weights = np.outer(depths, depths)
        self._shared = _shared_matrices(clips)
        self._known: dict[Shape, Numbers] = {}
        self.log_depths: Numbers = np.log(self._has @ depths)

    def matrix(self, shape: Shape) -> Numbers:
        """Correlations, shape ``(points, points)``."""
        if shape not in self._known:
            near = np.exp(-self._layers_apart / shape.layers - self._depth_apart / shape.depth)
            clips = near * self._weights * (shape.common + (1 - shape.common) * self._shared)
            summed = self._has @ clips @ self._has.T
            spread = np.sqrt(np.diag(summed))
            alike = summed / np.outer(spread, spread)
            self._known[shape] = (1 - shape.own) * alike + shape.own * np.eye(len(alike))
        return self._known[shape]


def _shared_matrices(clips: Sequence[Clip]) -> Numbers:
    """How far clips change the same matrices in the same way: cosines, shape ``(clips, clips)``."""
    changed = [{(clip.of_kind, role) for role in MODULES[clip.module]} for clip in clips]
    names = list(dict.fromkeys(name for each in changed for name in sorted(each, key=repr)))
    held = np.array([[name in each for name in names] for each in changed], dtype=np.float64)
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    return np.asarray(held @ held.T)
