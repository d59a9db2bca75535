"""What needs no training: least squares over the examples of a prompt, and always to say zero."""

from __future__ import annotations

import torch
from torch import Tensor

from clipsweep.trials.theory.regression.prompts import Prompts


def predict_zero(prompts: Prompts) -> Tensor:
    """Zero for every query, shape ``(prompts, examples + 1)``."""
    return torch.zeros_like(prompts.y)


def predict_least_squares(prompts: Prompts) -> Tensor:
    """Least squares over the examples before each query; of several solutions the shortest, as by the pseudo-inverse.

    Answers here have no noise, and maps are drawn from a round distribution. So this is the mean of the maps that are
    left (the best there can be), and ridge regression at its best penalty, which is zero, is the same. Its error after
    ``k`` examples is ``1 - k / d``, then 0.

    Returns:
        Shape ``(prompts, examples + 1)``, float32, solved in float64.
    """
    x, y = prompts.x.double(), prompts.y.double()
    predicted = torch.zeros_like(y)
    for seen in range(1, x.shape[1]):
        solved = torch.linalg.pinv(x[:, :seen]) @ y[:, :seen, None]
        predicted[:, seen] = torch.einsum("pd,pd->p", x[:, seen], solved[..., 0])
    return predicted.float()
