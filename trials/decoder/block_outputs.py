"""How blocks and their parts answer: with a hidden state, or with a tuple that begins with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.decoder.patches import replaced
from clipsweep.trials.decoder.unsupported import NotUnderstood


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of an answer.

    Attributes:
        length: Of the tuple; None where the hidden state comes alone.
    """

    length: int | None

    @classmethod
    def of(cls, answer: Any) -> Form:
        """The form that this answer has.

        Raises:
            NotUnderstood: It has no hidden state where it is expected.
        """
        output_of(answer)
        return cls(length=len(answer) if isinstance(answer, tuple) else None)

    def wrap(self, output: Tensor) -> Any:
        """An answer of this form; whatever comes after the hidden state is None."""
        return output if self.length is None else (output, *[None] * (self.length - 1))


def output_of(answer: Any) -> Tensor:
    """The hidden state of an answer, shape ``(batch, tokens, width)``.

    Raises:
        NotUnderstood: The answer is neither a tensor nor a tuple that begins with one.
    """
    output = answer[0] if isinstance(answer, tuple) and answer else answer
    if not isinstance(output, Tensor):
        raise NotUnderstood(f"a part of it answers {type(output).__name__}, not a hidden state")
    return output


def learn_forms(model: PreTrainedModel, modules: Mapping[str, nn.Module]) -> dict[str, Form]:
    """Run a model on two tokens and see in which form some of its modules answer.

    Args:
        model: In evaluation mode.
        modules: Those of the first block, by a name for each.

    Raises:
        NotUnderstood: The model does not call one of them, or gets no hidden state from it.
    """
    forms: dict[str, Form] = {}

    def noting(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            answer = compute(*args, **kwargs)
            forms[name] = Form.of(answer)
            return answer

        return forward

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.enter_context(replaced(module, noting(name, module.forward)))
        model(torch.tensor([[1, 2]], device=model.device))
    for name in modules:
        if name not in forms:
            raise NotUnderstood(f"its forward does not call its first block's {name}")
    return forms
