"""The blocks of a model and their parts: each can be run alone, with a part's output put in from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.decoder.arguments import Arguments
from clipsweep.trials.decoder.block_outputs import Form, learn_forms, output_of
from clipsweep.trials.decoder.patches import replaced
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.models.placement import device_of
from clipsweep.trials.spec.modules import ATTENTION, MLP

BLOCK = "block"


class Blocks:
    """The decoder blocks of a model in evaluation mode.

    Attributes:
        modules: The blocks, from the first to the last.
        devices: Where each block's parameters are.
        form: In which form a block answers.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout) -> None:
        """Learn in which form blocks and parts answer.

        Raises:
            NotUnderstood: The model does not call the parts of its first block, or gets no hidden state from them.
        """
        self.modules: list[nn.Module] = list(model.get_submodule(layout.blocks))
        self.devices = [device_of(block) for block in self.modules]
        paths = {ATTENTION: layout.attention, MLP: layout.mlp}
        self._parts = {
            part: [block.get_submodule(path) for block in self.modules] for part, path in paths.items() if path
        }
        first = {part: modules[0] for part, modules in self._parts.items()}
        with torch.inference_mode():
            self._forms = learn_forms(model, {BLOCK: self.modules[0], **first})
        self.form: Form = self._forms[BLOCK]

    def __len__(self) -> int:
        """How many."""
        return len(self.modules)

    def has(self, part: str) -> bool:
        """Whether a part is a module of its own."""
        return part in self._parts

    def part(self, part: str, layer: int) -> nn.Module:
        """The module of a part, which must be one of its own."""
        return self._parts[part][layer]

    def run(
        self,
        layer: int,
        hidden: Tensor,
        arguments: Arguments,
        reuse: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Run one block.

        Args:
            layer: Which.
            hidden: What enters it, ``(batch, tokens, width)``.
            arguments: What the model calls it with.
            reuse: Outputs of its attention or MLP that are not to be computed again.
            record: Filled with the outputs of the parts that it has as keys.

        Returns:
            What leaves it, ``(batch, tokens, width)``.

        Raises:
            NotUnderstood: It answers something else than a hidden state.
        """
        with ExitStack() as stack:
            for part, output in (reuse or {}).items():
                stack.enter_context(self.given(part, layer, output))
            if record is not None:
                for part in record:
                    stack.enter_context(self._recorded(part, layer, record))
            answer = self.modules[layer](hidden, **arguments)
        return output_of(answer)

    @contextmanager
    def given(self, part: str, layer: int, output: Tensor) -> Iterator[None]:
        """Inside, a part of a block answers ``output`` without computing; a copy, as blocks may add to it in place."""
        form = self._forms[part]

        def answer(*_args: Any, **_kwargs: Any) -> Any:
            return form.wrap(output.clone())

        with replaced(self.part(part, layer), answer):
            yield

    @contextmanager
    def _recorded(self, part: str, layer: int, record: dict[str, Tensor]) -> Iterator[None]:
        """Inside, the output of a part of a block is noted; a copy, as blocks may add to it in place."""
        module = self.part(part, layer)
        compute = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            answer = compute(*args, **kwargs)
            record[part] = output_of(answer).clone()
            return answer

        with replaced(module, forward):
            yield
