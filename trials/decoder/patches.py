"""Hold a model, for the length of a call, with a module that computes something else than its own forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation


class Stop(Exception):  # noqa: N818 - not an error: it ends a forward pass whose rest is not needed
    """Raised inside a model once all that was wanted of a pass is known."""


@contextmanager
def replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Hold ``module`` with another forward; the one it had, its class's or an instance's own, comes back."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


@contextmanager
def head_rows(model: PreTrainedModel, tokens: Tensor | None) -> Iterator[None]:
    """Hold a model with a head that computes the logits of ``tokens`` and no others; of all where it is None."""
    if tokens is None:
        yield
        return
    head = model.get_output_embeddings()
    weight, bias = head.weight[tokens], None if head.bias is None else head.bias[tokens]
    with replaced(head, lambda hidden: functional.linear(hidden, weight, bias)):
        yield


@contextmanager
def fused_activations(model: nn.Module) -> Iterator[None]:
    """Hold a model with GPT-2's form of GELU computed by torch in one step instead of eight.

    The function is the same; in float32 values agree to rounding, in half precision the single step rounds once.
    """
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, NewGELUActivation):
                stack.enter_context(replaced(module, _tanh_gelu))
        yield


def _tanh_gelu(hidden: Tensor) -> Tensor:
    return functional.gelu(hidden, approximate="tanh")
