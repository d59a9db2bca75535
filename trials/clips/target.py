"""A matrix that a clip changes, with all that its kind may form the new one from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.clips.factors import Factors
from clipsweep.trials.spec.kinds import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the untouched model gives a matrix to read, over some texts.

    Attributes:
        key: Names the texts: another for other texts.
        gram: Gives ``X Xᵀ``, shape ``(cols, cols)``, float64, on the matrix's device, for ``X`` of shape ``(cols,
            tokens)``; it is computed when called.
    """

    key: str
    gram: Callable[[], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One matrix, as the model holds it before any clip.

    Attributes:
        weight: Shape ``(rows, cols)``, in the model's dtype. It is read, never written.
        name: What messages call it; another for each matrix of a model.
        place: Layer, role and number among the matrices there: by it each matrix has draws of its own.
        factors: Gives its exact SVD when called. A kind that needs none does not call it.
        inputs: Gives what it reads.
        keep: Keeps factors by a key, which need not name the matrix.
    """

    weight: Tensor
    name: str
    place: str
    factors: Callable[[], Factors]
    inputs: Callable[[Texts], Inputs]
    keep: Callable[[str, Callable[[], Factors]], Factors]

    def generator(self, seed: int) -> torch.Generator:
        """Draws for this matrix; see ``generator_of``."""
        return generator_of(self.place, seed)


def generator_of(place: str, seed: int) -> torch.Generator:
    """Draws for the matrix at a place, on the CPU: of one seed the same on every device."""
    digest = hashlib.sha256(f"{seed} {place}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
