"""Clip a model's weights for the length of a trial, by pointing its parameters at edited copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.matrix_inputs import MatrixInputs, ReadTexts
from clipsweep.trials.clips.target import Inputs, Target
from clipsweep.trials.models.matrices import Layout, Matrix
from clipsweep.trials.spec.kinds import Texts
from clipsweep.trials.spec.resolved import Edit, ResolvedClips

ReadInputs = Callable[[str, Texts], Inputs]  # what the module of a name reads over some texts


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

    def edit(self, clips: ResolvedClips, read_texts: ReadTexts | None = None) -> dict[str, Tensor]:
        """Edited copies of the parameters that ``clips`` change; see ``edit_weights``.

        Args:
            clips: What to change.
            read_texts: Gives the texts that the untouched model reads for kinds which depend on its inputs; None where
                there are none.

        Raises:
            EvaluationError: As ``edit_weights``.
            TaskError: There are no such texts.
        """
        owners = read_owners(self.layout, clips)
        inputs = None if read_texts is None or not owners else MatrixInputs(self.model, read_texts, owners).read
        return edit_weights(self.model, self.layout, clips, self.factors, inputs)

    def holding(self, edited: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Hold the model with edited parameters; see ``swapped``."""
        return swapped(self.model, edited)

    def edited_bytes(self, clips: ResolvedClips) -> int:
        """Bytes of the copies that ``edit`` would make."""
        matrices = [matrix for edit in clips.edits for matrix in edited_matrices(self.layout, edit)]
        names = sorted({matrix.parameter for matrix in matrices})
        return count_bytes([self.model.get_parameter(name) for name in names])


def edit_weights(
    model: nn.Module,
    layout: Layout,
    clips: ResolvedClips,
    factors: FactorCache,
    read_inputs: ReadInputs | None = None,
    only: str | None = None,
) -> dict[str, Tensor]:
    """Edited copies of the parameters that ``clips`` change, by parameter name.

    Each new matrix is formed by the clip's kind from the original one, and rounded once to the model's dtype.
    Parameters that no clip changes are not listed.

    Args:
        model: With its original weights; they are read, never written.
        layout: Of the model.
        clips: What to change.
        factors: Makes or remembers the factors.
        read_inputs: Gives what matrices read, to the kinds that look at texts; None where there are no texts.
        only: The one parameter to edit; None for all. The others are not read then.

    Raises:
        EvaluationError: The weights of a matrix, or its inputs, are not finite; or a kind needs texts.
    """
    edited: dict[str, Tensor] = {}
    for edit in clips.edits:
        kind = load_kind(edit.clip.kind)
        for matrix in edited_matrices(layout, edit):
            if only not in {None, matrix.parameter}:
                continue
            original = model.get_parameter(matrix.parameter).detach()
            if matrix.parameter not in edited:
                edited[matrix.parameter] = original.clone()
            target = target_of(matrix, matrix.read(original), edit, layout, factors, read_inputs)
            matrix.write(edited[matrix.parameter], kind.apply(edit.clip, target))
    return edited


def target_of(
    matrix: Matrix, weight: Tensor, edit: Edit, layout: Layout, factors: FactorCache, read_inputs: ReadInputs | None
) -> Target:
    """A matrix with what its clip may need."""
    name = matrix.name_at(edit.layer, edit.role)
    number = layout.matrices[edit.layer, edit.role].index(matrix)
    return Target(
        weight=weight,
        name=name,
        place=f"{edit.layer} {edit.role} {number}",
        factors=partial(factors.get, weight, name),
        inputs=partial(read_inputs or no_inputs, matrix.owner),
        keep=factors.keep,
    )


def no_inputs(owner: str, texts: Texts) -> Inputs:
    """Stands where there are no texts to read.

    Raises:
        EvaluationError: Always.
    """
    raise EvaluationError(
        f"the clip of {owner} depends on what it reads over {texts.split}, and there is no text here; expected the "
        f"prompts of a task. Evaluate it as a trial of a study, or take a kind of clip that looks at no text."
    )


def read_owners(layout: Layout, clips: ResolvedClips) -> list[str]:
    """The modules whose inputs the kinds of some clips look at, each once."""
    matrices = [
        matrix
        for edit in clips.edits
        if load_kind(edit.clip.kind).texts(edit.clip) is not None
        for matrix in edited_matrices(layout, edit)
    ]
    return list(dict.fromkeys(matrix.owner for matrix in matrices))


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
