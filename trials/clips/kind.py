"""What a kind of clip does to a matrix: the interface of all kinds, and the way from a name to its kind.

A kind is loaded on first use. It loads without torch, since the driver asks it for the effect of a clip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, Texts
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors
    from clipsweep.trials.clips.target import Target


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

    def thin_rank(self, clip: Clip, shape: Shape) -> int | None:  # noqa: ARG002
        """The rank r of a clip whose matrix is that of the first r of its ``factors``: two thin ones say the same.

        None for kinds whose matrices have no such form, and where nothing is left; then they are stored whole.
        """
        return None

    def factors(self, clip: Clip, target: Target) -> Factors:  # noqa: ARG002 - for kinds with others than the SVD's
        """The factors of which a clip keeps the first ``thin_rank``: the exact SVD, unless a kind has others."""
        return target.factors()

    @abstractmethod
    def apply(self, clip: Clip, target: Target) -> Tensor:
        """Form the clipped matrix.

        Args:
            clip: One that does not leave the matrix alone.
            target: The original matrix, and whatever a kind may form the new one from.

        Returns:
            Shape ``(rows, cols)``, on the device of the original, in its dtype or in float32; the caller rounds once.

        Raises:
            EvaluationError: The weights, or what else it is formed from, are not finite.
        """

    def check(self, clip: Clip, shape: Shape) -> None:  # noqa: B027 - most kinds take every matrix
        """Refuse matrices that the kind cannot take.

        Raises:
            SpecError: Why it cannot.
        """

    def texts(self, clip: Clip) -> Texts | None:  # noqa: ARG002 - for the kinds that look at texts
        """What the clipped matrix depends on the inputs of; None where it depends on no text, as in most kinds."""
        return None


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
