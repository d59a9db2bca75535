"""Read the singular values of a loaded model's matrices, one place after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factors import compute_exact_values
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place, ratio_of_ends
from clipsweep.trials.models.matrices import Layout

ROWS_TOGETHER = 256


def measure_spectrum(
    model: nn.Module, layout: Layout, places: Iterable[Place], factors: FactorCache, *, exact: bool = False
) -> Iterator[MatrixSpectrum]:
    """Singular values of all matrices at ``places``: out of the cached factors where there are some, else computed.

    Args:
        model: With its original weights, on any device; they are read, never written.
        layout: Of the model.
        places: Layers, counted from 0, and roles that the layout has.
        factors: Those cached; none are added, for the values alone cost a fraction of the whole SVD.
        exact: Whether to measure also the condition number in float64. That takes several times as long, and the
            memory of one matrix in float64.

    Yields:
        One value for each matrix, in the order of ``places``.

    Raises:
        EvaluationError: A matrix, which is named, has weights that are not finite.
    """
    for layer, role in places:
        for matrix in layout.matrices[layer, role]:
            weight = matrix.read(model.get_parameter(matrix.parameter))
            name = matrix.name_at(layer, role)
            values = factors.singular_values(weight, name)
            yield MatrixSpectrum(
                layer=layer,
                role=role,
                parameter=matrix.parameter,
                expert=matrix.expert,
                rows=matrix.rows,
                cols=matrix.cols,
                singular_values=tuple(values.tolist()),
                condition_number_float64=ratio_of_ends(compute_exact_values(weight, name).tolist()) if exact else None,
                entry_std=standard_deviation(weight.detach()),
            )


def standard_deviation(weight: Tensor) -> float:
    """Of all entries, in float64, some rows at a time: a whole matrix in float64 would take four times its memory."""
    count, mean = weight.numel(), float(weight.sum(dtype=torch.float64)) / weight.numel()
    parts = (part.double().sub_(mean).square_().sum() for part in torch.split(weight, ROWS_TOGETHER))
    return math.sqrt(sum(map(float, parts)) / count)
