"""What a kind of clip does to a matrix: the interface of all kinds, and the way from a name to its kind.

A kind is loaded on first use. It loads without torch, since the driver asks it for the effect of a clip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors


class Kind(ABC):
    """The effect of clips of one kind on a matrix. It holds no state."""

    @abstractmethod
    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether a clip leaves a matrix of this shape as it was, byte for byte."""

    @abstractmethod
    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """How many parameters one clipped matrix of this shape keeps, in the smallest form that it can be stored in."""

    @abstractmethod
    def fingerprint(self, clip: Clip, shape: Shape) -> int | str:
        """What decides the clipped matrix besides the original one: equal for clips that give the same matrix."""

    @abstractmethod
    def apply(self, clip: Clip, weight: Tensor, factors: Callable[[], Factors]) -> Tensor:
        """Form the clipped matrix.

        Args:
            clip: One that does not leave the matrix alone.
            weight: Original matrix, shape ``(rows, cols)``, in the model's dtype. It is read, never written.
            factors: Gives the exact SVD of ``weight`` when called. A kind that needs none does not call it.

        Returns:
            Shape ``(rows, cols)``, on the device of ``weight``, in its dtype or in float32; the caller rounds once.

        Raises:
            EvaluationError: The weights are not finite.
        """


def load_kind(name: str) -> Kind:
    """The kind of a name.

    Raises:
        SpecError: There is none of that name.
    """
    if name not in KINDS:
        raise SpecError(unknown_name("kind of clip", name, KINDS))
    return _load(KINDS[name].location)


@cache
def _load(place: str) -> Kind:
    """Make the kind that is written at ``module:attribute``."""
    module, _, attribute = place.partition(":")
    kind: type[Kind] = getattr(import_module(module), attribute)
    return kind()
