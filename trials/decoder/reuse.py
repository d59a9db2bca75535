"""Which part of a block does not wait for the other part, so that its output stands when the other one is clipped.

In GPT-J attention and MLP read the same hidden state: a clip of one leaves the other's output as it was. In LLaMA the
MLP reads what attention adds, so only attention can be reused. This is tried on each block, not looked up by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.decoder.arguments import Arguments
from clipsweep.trials.decoder.blocks import Blocks
from clipsweep.trials.decoder.patches import Stop, replaced
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.spec.modules import ATTENTION, MLP, MLP_ROLES


class ReuseTest:
    """Tries the blocks of one model on a few tokens."""

    def __init__(self, model: PreTrainedModel, layout: Layout, blocks: Blocks) -> None:
        """Take the model and its blocks."""
        self._model = model
        self._layout = layout
        self._blocks = blocks

    def reusable(self, layer: int, hidden: Tensor, arguments: Arguments) -> frozenset[str]:
        """Parts of a block that do not wait for the other part, and whose output can be put in from outside.

        Args:
            layer: Of the block.
            hidden: Any hidden state, ``(batch, tokens, width)``.
            arguments: What the model calls the block with beside such a one.

        Raises:
            NotUnderstood: The block has no attention of its own, and uses its MLP before it attends.
        """
        if not self._blocks.has(ATTENTION):
            return frozenset()
        parts = [part for part in (ATTENTION, MLP) if self._blocks.has(part)]
        return frozenset(
            part
            for part in parts
            if not self._waits(part, layer, hidden, arguments) and self._can_be_given(part, layer, hidden, arguments)
        )

    def _can_be_given(self, part: str, layer: int, hidden: Tensor, arguments: Arguments) -> bool:
        """Whether a part's output, put in, gives what computing it gives."""
        record = {part: hidden}
        with torch.inference_mode():
            computed = self._blocks.run(layer, hidden, arguments, record=record)
            put_in = self._blocks.run(layer, hidden, arguments, reuse=record)
        near = 1e-4 * float(computed.float().nan_to_num().abs().max())  # sums over experts may vary by rounding
        return torch.allclose(computed, put_in, rtol=1e-3, atol=near, equal_nan=True)

    def _waits(self, part: str, layer: int, hidden: Tensor, arguments: Arguments) -> bool:
        """Whether what a part is called with depends on the other part's output.

        The other part answers zeros that need a gradient. Where a tensor that the part is called with needs one too, it
        was computed from them.
        """
        depends: list[bool] = []

        def note(*args: Any, **kwargs: Any) -> Any:
            given = [*args, *kwargs.values()]
            depends.append(any(isinstance(each, Tensor) and each.requires_grad for each in given))
            raise Stop

        with torch.enable_grad(), ExitStack() as stack:
            hidden = hidden.clone()
            stack.enter_context(self._traced(MLP if part == ATTENTION else ATTENTION, layer, hidden))
            stack.enter_context(replaced(self._blocks.part(part, layer), note))
            stack.enter_context(suppress(Stop))
            self._blocks.modules[layer](hidden, **map_tensors(arguments, torch.clone))
        return not depends or depends[0]

    @contextmanager
    def _traced(self, part: str, layer: int, like: Tensor) -> Iterator[None]:
        """Inside, a part answers zeros that need a gradient; an MLP without a module of its own must not be used."""
        with ExitStack() as stack:
            if self._blocks.has(part):
                zeros = torch.zeros_like(like, device=self._blocks.devices[layer]).requires_grad_()
                stack.enter_context(self._blocks.given(part, layer, zeros))
            else:
                for module in self._owners(layer):
                    stack.enter_context(replaced(module, _unexpected))
            yield

    def _owners(self, layer: int) -> list[nn.Module]:
        """The modules that hold a block's feed-forward matrices."""
        matrices = [matrix for role in MLP_ROLES for matrix in self._layout.matrices.get((layer, role), ())]
        names = sorted({matrix.parameter for matrix in matrices})
        return [self._model.get_submodule(name.rpartition(".")[0]) for name in names]


def _unexpected(*_args: Any, **_kwargs: Any) -> Any:
    raise NotUnderstood("its feed-forward matrices are used before its attention")
