"""Where a model keeps its clippable matrices, and how one is read from its parameter and written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One weight matrix of shape ``(rows, cols)``, rows being outputs as in ``nn.Linear``, by its place in a parameter.

    Attributes:
        parameter: Name among ``model.named_parameters()``.
        rows: Outputs.
        cols: Inputs.
        transposed: Whether it is stored ``(inputs, outputs)``, as GPT-2's ``Conv1D`` does.
        expert: Index along the first axis of a 3-D parameter of a mixture of experts.
        groups: The parameter's output rows are viewed as ``(groups, rows_per_group)`` …
        start: … and the matrix is the rows from ``start`` …
        stop: … to before ``stop`` of every group.
    """

    parameter: str
    rows: int
    cols: int
    transposed: bool = False
    expert: int | None = None
    groups: int = 1
    start: int = 0
    stop: int

    @property
    def owner(self) -> str:
        """Path of the module that holds the parameter."""
        return self.parameter.rpartition(".")[0]

    def name_at(self, layer: int, role: str) -> str:
        """What messages call it: ``layer 3 fc_in (transformer.h.3.mlp.fc_in.weight)``, with its expert if any."""
        expert = "" if self.expert is None else f" expert {self.expert}"
        return f"layer {layer} {role} ({self.parameter}{expert})"

    def read(self, stored: Tensor) -> Tensor:
        """The matrix out of its parameter's tensor: shape ``(rows, cols)``; a view of ``stored`` where one can be."""
        return self._view(stored).reshape(self.rows, self.cols)

    def write(self, stored: Tensor, values: Tensor) -> None:
        """Put ``values`` ``(rows, cols)`` in place, rounded once to the dtype of ``stored``; nothing else changes."""
        view = self._view(stored)
        view.copy_(values.reshape(view.shape))

    def outputs_of(self, given: Tensor) -> Tensor:
        """Its own outputs among those of the linear map that it is a part of: ``(..., outputs)`` to ``(..., rows)``."""
        return given.reshape(*given.shape[:-1], self.groups, -1)[..., self.start : self.stop].flatten(-2)

    def _view(self, stored: Tensor) -> Tensor:
        """The matrix's own entries: shape ``(groups, rows / groups, cols)``."""
        plain = stored.detach() if self.expert is None else stored.detach()[self.expert]
        outputs_first = plain.T if self.transposed else plain
        return outputs_first.view(self.groups, -1, self.cols)[:, self.start : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a decoder keeps its blocks and matrices.

    Attributes:
        blocks: Path of the ``nn.ModuleList`` of decoder blocks in the causal language model, e.g. ``"model.layers"``.
        attention: Path, inside every block, of the submodule that takes the hidden state and holds all attention
            matrices, e.g. ``"self_attn"``; None where that is no less than the block, or not the same in all blocks.
        mlp: The same for the feed-forward matrices. A mixture's is that of its router and experts.
        matrices: By ``(layer, role)``; several for the experts of a mixture.
    """

    blocks: str
    attention: str | None
    mlp: str | None
    matrices: Mapping[tuple[int, str], tuple[Matrix, ...]]
