"""Which parameters clips change, and the tensors that take the place of theirs in the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import convert_and_load_state_dict_in_model, revert_weight_conversion
from transformers.modeling_utils import LoadStateDictConfig

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.clips.edit import ReadInputs, edit_weights, edited_matrices, target_of
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.export.source import Source, read_tensor
from clipsweep.trials.models.matrices import Matrix
from clipsweep.trials.spec.resolved import Edit, ResolvedClips

THIN = ("down.weight", "up.weight")  # in the place of "weight": what reads the inputs, what gives the outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One parameter that clips change.

    Attributes:
        parameter: Its name in the model.
        names: The tensors of the files that it is loaded from.
        edits: What changes of it.
        rank: Of the two thin factors that take its place; None where it stays whole.
    """

    parameter: str
    names: tuple[str, ...]
    edits: tuple[Edit, ...]
    rank: int | None = None

    @property
    def module(self) -> str:
        """The module that holds it."""
        return self.parameter.removesuffix(".weight")

    def thin_names(self) -> tuple[str, str]:
        """What the two factors are called in the files."""
        stem = self.names[0].removesuffix("weight")
        down, up = THIN
        return stem + down, stem + up


def find_changes(source: Source, clips: ResolvedClips, *, factored: bool = False) -> tuple[Change, ...]:
    """The parameters that clips change, in the order of the clips.

    Args:
        source: The checkpoint.
        clips: Resolved for its model.
        factored: Whether two thin factors take the place of a matrix where that is smaller and a module can hold them.

    Raises:
        ModelError: The files hold a parameter in a form that it cannot be written back in.
    """
    edits: dict[str, list[Edit]] = {}
    for edit in clips.edits:
        for matrix in edited_matrices(source.layout, edit):
            held = edits.setdefault(matrix.parameter, [])
            if edit not in held:
                held.append(edit)
    found = []
    for parameter, of_it in edits.items():
        names = source.names_of(parameter)
        if not names:
            raise ModelError(
                f"{source.folder} holds {parameter} as a part of another tensor, which cannot be written back; "
                f"expected a tensor of its own. Save the model again with save_pretrained, and sweep that."
            )
        change = Change(parameter=parameter, names=names, edits=tuple(of_it))
        found.append(replace(change, rank=_thin_rank(source, change)) if factored else change)
    return tuple(found)


def make_tensors(
    source: Source,
    clips: ResolvedClips,
    change: Change,
    factors: FactorCache,
    read_inputs: ReadInputs | None = None,
) -> dict[str, Tensor]:
    """The tensors that take the place of a changed parameter's, by their names in the files.

    The parameter is loaded, edited by the code that edits it in a trial, and turned back into the form of the files.

    Args:
        source: The checkpoint.
        clips: Those that ``change`` was found for.
        change: One of ``find_changes``.
        factors: Makes or remembers the factors.
        read_inputs: Gives what matrices read, on the CPU, to the kinds that look at texts; None where none does.

    Returns:
        In the dtype that the model is run in.

    Raises:
        EvaluationError: The weights of a matrix, or its inputs, are not finite.
        ModelError: A file is damaged, or the form of the files cannot be had back.
    """
    owner, name = _owner(source.model, change.parameter)
    empty = owner._parameters[name]
    assert empty is not None, "the layout names parameters that are there"
    try:
        _load(source, change, empty)
        if change.rank is not None:
            return _thin(source, change, factors, read_inputs)
        of_it = replace(clips, edits=change.edits)
        edited = edit_weights(source.model, source.layout, of_it, factors, read_inputs, change.parameter)
        if source.is_converted(change.parameter):
            back: dict[str, Tensor] = revert_weight_conversion(source.model, edited)
            return back
        return {change.names[0]: edited[change.parameter]}
    finally:
        owner._parameters[name] = empty


def _owner(model: nn.Module, parameter: str) -> tuple[nn.Module, str]:
    path, _, name = parameter.rpartition(".")
    return model.get_submodule(path), name


def _load(source: Source, change: Change, empty: nn.Parameter) -> None:
    """Put a parameter's weights into the model, as transformers loads them."""
    tensors = {name: read_tensor(source.stored[name]) for name in change.names}
    if source.is_converted(change.parameter):
        mapping = get_model_conversion_mapping(source.model)
        config = LoadStateDictConfig(device_map={"": torch.device("cpu")}, dtype=empty.dtype, weight_mapping=mapping)
        convert_and_load_state_dict_in_model(source.model, tensors, config)
        _check_form(source, change, tensors)
        return
    [weights] = tensors.values()
    owner, name = _owner(source.model, change.parameter)
    owner._parameters[name] = nn.Parameter(weights.to(empty.dtype), requires_grad=False)


def _check_form(source: Source, change: Change, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a parameter whose unclipped weights do not come back as they are in the files.

    Raises:
        ModelError: They do not.
    """
    weights = source.model.get_parameter(change.parameter)
    back = revert_weight_conversion(source.model, {change.parameter: weights})
    same = back.keys() == tensors.keys() and all(
        torch.equal(back[name], tensor.to(weights.dtype)) for name, tensor in tensors.items()
    )
    if not same:
        raise ModelError(
            f"{source.folder} holds {change.parameter} in a form that transformers reads and does not write back; "
            f"expected one that it does. Save the model again with save_pretrained, and sweep that."
        )


def _thin(source: Source, change: Change, factors: FactorCache, read_inputs: ReadInputs | None) -> dict[str, Tensor]:
    """The two factors of a matrix that fills its parameter: shapes ``(rank, cols)`` and ``(rows, rank)``."""
    [edit], rank = change.edits, change.rank
    [matrix] = matrices_of(source, change)
    assert rank is not None
    stored = source.model.get_parameter(change.parameter).detach()
    target = target_of(matrix, matrix.read(stored), edit, source.layout, factors, read_inputs)
    up, down = load_kind(edit.clip.kind).factors(edit.clip, target).thin(rank)
    return {
        name: factor.to(stored.dtype).contiguous() for name, factor in zip(change.thin_names(), (down, up), strict=True)
    }


def matrices_of(source: Source, change: Change) -> list[Matrix]:
    """The matrices of a parameter that change."""
    found = (matrix for edit in change.edits for matrix in edited_matrices(source.layout, edit))
    return [matrix for matrix in found if matrix.parameter == change.parameter]


def _thin_rank(source: Source, change: Change) -> int | None:
    """The rank of the two factors that take a parameter's place; None where it stays whole."""
    owner, name = _owner(source.model, change.parameter)
    is_linear = type(owner) is nn.Linear or type(owner).__name__ == "Conv1D"
    matrices = matrices_of(source, change)
    [edit, *others] = change.edits
    fills = (
        len(matrices) == 1
        and matrices[0].rows * matrices[0].cols == source.model.get_parameter(change.parameter).numel()
    )
    if others or not fills or not is_linear or name != "weight" or source.is_converted(change.parameter):
        return None
    rank = load_kind(edit.clip.kind).thin_rank(edit.clip, edit.shape)
    rows, cols, _ = edit.shape
    return rank if rank is not None and rank * (rows + cols) < rows * cols else None


def kept_whole(changes: Iterable[Change]) -> list[str]:
    """The parameters that stay whole, by name."""
    return [change.parameter for change in changes if change.rank is None]
