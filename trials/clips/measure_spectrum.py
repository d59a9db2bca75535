"""Read the singular values of a loaded model's matrices, one place after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.models.matrices import Layout


def measure_spectrum(
    model: nn.Module, layout: Layout, places: Iterable[Place], factors: FactorCache
) -> Iterator[MatrixSpectrum]:
    """Singular values of all matrices at ``places``: out of the cached factors where there are some, else computed.

    Args:
        model: With its original weights, on any device; they are read, never written.
        layout: Of the model.
        places: Layers, counted from 0, and roles that the layout has.
        factors: Those cached; none are added, for the values alone cost a fraction of the whole SVD.

    Yields:
        One value for each matrix, in the order of ``places``.

    Raises:
        EvaluationError: A matrix, which is named, has weights that are not finite.
    """
    for layer, role in places:
        for matrix in layout.matrices[layer, role]:
            weight = matrix.read(model.get_parameter(matrix.parameter))
            values = factors.singular_values(weight, matrix.name_at(layer, role))
            yield MatrixSpectrum(
                layer=layer,
                role=role,
                parameter=matrix.parameter,
                expert=matrix.expert,
                rows=matrix.rows,
                cols=matrix.cols,
                singular_values=tuple(values.tolist()),
            )
