"""Clip a model's weights for the length of a trial, by pointing its parameters at edited copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.spec.clip import Clip


def edit_weights(
    model: nn.Module, layout: Layout, card: ModelCard, clips: Sequence[Clip], factors: FactorCache
) -> dict[str, Tensor]:
    """Edited copies of the parameters that ``clips`` change, by parameter name.

    A matrix of low rank is formed in float32 from the factors of the original weights and rounded once to the model's
    dtype. Parameters left at full rank are not listed.

    Args:
        model: With its original weights; they are read, never written.
        layout: Of the model.
        card: Of the same checkpoint.
        clips: What to clip.
        factors: Makes or remembers the factors.

    Raises:
        EvaluationError: The weights of a matrix are not finite.
    """
    edited: dict[str, Tensor] = {}
    for (layer, role, shape), rank in card.kept_ranks(clips).items():
        for matrix in layout.matrices[layer, role]:
            if (matrix.rows, matrix.cols) != (shape.rows, shape.cols):
                continue
            original = model.get_parameter(matrix.parameter).detach()
            if matrix.parameter not in edited:
                edited[matrix.parameter] = original.clone()
            factored = factors.get(matrix.read(original), matrix.name_at(layer, role))
            matrix.write(edited[matrix.parameter], factored.low_rank(rank))
    return edited


@contextmanager
def swapped(model: nn.Module, edited: Mapping[str, Tensor]) -> Iterator[None]:
    """Hold ``model`` with parameters pointing at ``edited``; on leaving, also by an error, at their own storage again.

    The original weights are never written, so no byte of them can change.
    """
    parameters = {name: model.get_parameter(name) for name in edited}
    originals = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = edited[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = originals[name]
