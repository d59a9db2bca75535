"""Clip a model's weights for the length of a trial, by pointing its parameters at edited copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.models.matrices import Layout, Matrix
from clipsweep.trials.spec.resolved import Edit, ResolvedClips


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model with its original weights, and what is needed to clip it.

    Attributes:
        model: On its device, or spread over several.
        layout: Where it keeps its matrices.
        factors: Makes or remembers the factors of its weights.
    """

    model: PreTrainedModel
    layout: Layout
    factors: FactorCache

    def edit(self, clips: ResolvedClips) -> dict[str, Tensor]:
        """Edited copies of the parameters that ``clips`` change; see ``edit_weights``."""
        return edit_weights(self.model, self.layout, clips, self.factors)

    def holding(self, edited: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Hold the model with edited parameters; see ``swapped``."""
        return swapped(self.model, edited)

    def edited_bytes(self, clips: ResolvedClips) -> int:
        """Bytes of the copies that ``edit`` would make."""
        matrices = [matrix for edit in clips.edits for matrix in edited_matrices(self.layout, edit)]
        names = sorted({matrix.parameter for matrix in matrices})
        return count_bytes([self.model.get_parameter(name) for name in names])


def edit_weights(model: nn.Module, layout: Layout, clips: ResolvedClips, factors: FactorCache) -> dict[str, Tensor]:
    """Edited copies of the parameters that ``clips`` change, by parameter name.

    Each new matrix is formed by the clip's kind from the original one, and rounded once to the model's dtype.
    Parameters that no clip changes are not listed.

    Args:
        model: With its original weights; they are read, never written.
        layout: Of the model.
        clips: What to change.
        factors: Makes or remembers the factors.

    Raises:
        EvaluationError: The weights of a matrix are not finite.
    """
    edited: dict[str, Tensor] = {}
    for edit in clips.edits:
        kind = load_kind(edit.clip.kind)
        for matrix in edited_matrices(layout, edit):
            original = model.get_parameter(matrix.parameter).detach()
            if matrix.parameter not in edited:
                edited[matrix.parameter] = original.clone()
            weight = matrix.read(original)
            its_factors = partial(factors.get, weight, matrix.name_at(edit.layer, edit.role))
            matrix.write(edited[matrix.parameter], kind.apply(edit.clip, weight, its_factors))
    return edited


def edited_matrices(layout: Layout, edit: Edit) -> list[Matrix]:
    """Where the matrices that an edit changes lie: those of its shape among all of its layer and role."""
    shape = edit.shape.rows, edit.shape.cols
    return [matrix for matrix in layout.matrices[edit.layer, edit.role] if (matrix.rows, matrix.cols) == shape]


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
