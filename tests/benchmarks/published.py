"""The published procedure as published (Yao et al., 2024): the baseline that the engine is measured against.

For every rate a randomised SVD of each matrix, applied on top of the last edit; then for every example, alone, one
forward pass over demonstrations and query, and a log-softmax over the whole vocabulary at every position. Results are
never used: what counts here is the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.modules import MODULES


@torch.no_grad()
def clip_on_top(model: PreTrainedModel, layout: Layout, layer: int, module: str, clip_rate: float) -> None:
    """Replace a module's matrices, as the last rate left them, by their randomised truncated SVD."""
    for role in MODULES[module]:
        for matrix in layout.matrices.get((layer, role), ()):
            weight = model.get_parameter(matrix.parameter).data
            rank = max(1, int(min(weight.shape) * (1 - clip_rate)))
            u, s, v = torch.svd_lowrank(weight.float(), q=rank, niter=2)
            weight.copy_((u * s) @ v.T)


@torch.no_grad()
def evaluate(model: PreTrainedModel, prompts: Prompts) -> Tensor:
    """Log-probabilities of the labels after each prompt, every prompt read whole and alone."""
    rows = []
    for query in prompts.queries:
        logprobs = model(torch.tensor([[*prompts.prefix, *query.tokens]], device=model.device)).logits.log_softmax(
            dim=-1
        )
        rows.append(logprobs[0, -1, [label[0] for label in query.labels]])
    return torch.stack(rows)


def seconds_of(
    model: PreTrainedModel, layout: Layout, prompts: Prompts, layer: int, module: str, clip_rates: Sequence[float]
) -> tuple[float, float]:
    """Wall time of clipping one module at each of the rates, and of reading the prompts after the last.

    The weights are put back afterwards, untimed.
    """
    names = {matrix.parameter for role in MODULES[module] for matrix in layout.matrices.get((layer, role), ())}
    kept = {name: model.get_parameter(name).data.clone() for name in names}
    started = time.perf_counter()
    for clip_rate in clip_rates:
        clip_on_top(model, layout, layer, module, clip_rate)
    wait()
    clipped = time.perf_counter()
    evaluate(model, prompts)
    wait()
    clipping, reading = clipped - started, time.perf_counter() - clipped
    for name, weight in kept.items():
        model.get_parameter(name).data.copy_(weight)
    return clipping, reading


def wait() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
