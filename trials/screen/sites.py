"""Which matrices a screen looks at, and what passes through them while a block runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from clipsweep.trials.base.errors import EvaluationError, SpecError
from clipsweep.trials.clips.edit import edited_matrices
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.matrices import Layout, Matrix
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A matrix that clips drop singular values of.

    Attributes:
        matrix: Where it is.
        name: What messages call it.
        ranks: That clips leave, one for each.
        clips: The number of each of these clips.
    """

    matrix: Matrix
    name: str
    ranks: tuple[int, ...]
    clips: tuple[int, ...]


Sites = Mapping[int, Sequence[Site]]  # by layer
Call = tuple[Tensor, Tensor]  # what a linear map was given and what it answered, each (batch, tokens, width)
Calls = dict[str, list[Call]]  # by the module's path


def plan_sites(clips: Sequence[Clip], card: ModelCard, layout: Layout) -> dict[int, list[Site]]:
    """The matrices that clips change, by layer.

    Raises:
        SpecError: A clip is of another kind than ``svd``, or names what the model does not have.
    """
    found: dict[int, dict[str, tuple[Matrix, list[tuple[int, int]]]]] = {}
    for number, clip in enumerate(clips):
        if clip.kind != DEFAULT_KIND:
            raise SpecError(
                f"a clip of kind {clip.kind!r} cannot be screened; expected {DEFAULT_KIND!r}, which drops the smallest "
                f"singular values. Switch the screen off, or sweep that kind."
            )
        for edit in resolve([clip], card).edits:
            for matrix in edited_matrices(layout, edit):
                of_layer = found.setdefault(edit.layer, {})
                _, wanted = of_layer.setdefault(matrix.name_at(edit.layer, edit.role), (matrix, []))
                wanted.append((kept_rank(clip.clip_rate, matrix.rows, matrix.cols), number))
    return {
        layer: [_site(name, matrix, wanted) for name, (matrix, wanted) in sites.items()]
        for layer, sites in found.items()
    }


def _site(name: str, matrix: Matrix, wanted: Sequence[tuple[int, int]]) -> Site:
    ranks, clips = zip(*wanted, strict=True)
    return Site(matrix=matrix, name=name, ranks=ranks, clips=clips)


def check_sites(model: nn.Module, sites: Sequence[Site]) -> None:
    """Refuse matrices of which it cannot be seen what each row gives them.

    Raises:
        EvaluationError: One is no plain linear map, such as the experts of a mixture.
    """
    for site in sites:
        if not isinstance(model.get_submodule(site.matrix.owner), nn.Linear | Conv1D):
            raise EvaluationError(
                f"{site.matrix.owner} is no linear map, so a screen cannot tell what each row gives {site.name}; "
                f"expected one. Switch the screen off, or sweep other modules."
            )


def shapes_of(sites: Sites) -> dict[int, list[tuple[int, int]]]:
    """Rows and columns of the matrices, by layer."""
    return {layer: [(site.matrix.rows, site.matrix.cols) for site in each] for layer, each in sites.items()}


@contextmanager
def watching(model: nn.Module, sites: Sequence[Site], batch: int) -> Iterator[Calls]:
    """Inside, notes what passes through the linear maps that hold these matrices.

    What a map answers is handed on as a copy, so that what changes it in place later leaves the noted one as it is.

    Args:
        model: Its blocks are run inside.
        sites: Of the block that is run.
        batch: Sequences that it is run on.
    """
    calls: Calls = {}

    def note(owner: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Tensor) -> Tensor:
        given: Tensor = (*args, *kwargs.values())[0]
        calls.setdefault(owner, []).append((_by_sequence(given.detach(), batch), _by_sequence(answer, batch)))
        return calls[owner][-1][1].clone().view_as(answer)

    with ExitStack() as hooks:
        for owner in dict.fromkeys(site.matrix.owner for site in sites):
            handle = model.get_submodule(owner).register_forward_hook(partial(note, owner), with_kwargs=True)
            hooks.callback(handle.remove)
        yield calls


def _by_sequence(hidden: Tensor, batch: int) -> Tensor:
    """States as ``(batch, tokens, width)``; some blocks put all tokens of a batch in one row."""
    return hidden.reshape(batch, -1, hidden.shape[-1])


def seen_at(calls: Calls, gradients: Mapping[str, Sequence[Tensor]], site: Site) -> Call:
    """What a matrix was given, and the gradients by what it answered: ``(batch, tokens, cols)`` and ``… rows)``.

    Args:
        calls: Of the block that holds it.
        gradients: By what each linear map answered at each of its calls.
        site: The matrix; the tokens of several calls follow each other.

    Raises:
        EvaluationError: There was no call.
    """
    owner = site.matrix.owner
    if owner not in calls:
        raise EvaluationError(
            f"the model does not call {owner}, so a screen sees nothing of {site.name}; expected a call for each text. "
            f"Switch the screen off, or sweep other modules."
        )
    given = torch.cat([each for each, _ in calls[owner]], dim=1)
    return given, site.matrix.outputs_of(torch.cat([*gradients[owner]], dim=1))
