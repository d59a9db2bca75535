"""Prompts of in-context linear regression, and the normalised squared error of what is predicted for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.clips.target import generator_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Examples of a random linear map for each prompt; each is a query too, and the last is nothing else.

    Attributes:
        x: Shape ``(prompts, examples + 1, dims)``, float32.
        w: The linear maps, shape ``(prompts, dims)``.
    """

    x: Tensor
    w: Tensor

    @property
    def y(self) -> Tensor:
        """What the maps give, shape ``(prompts, examples + 1)``."""
        return torch.einsum("pnd,pd->pn", self.x, self.w)

    @property
    def n_dims(self) -> int:
        """Entries of each ``x``."""
        return self.x.shape[-1]

    def tokens(self) -> Tensor:
        """What a model reads: ``x`` and ``y`` in turn, ``y`` filled up with zeros, up to the last ``x``.

        Returns:
            Shape ``(prompts, 2 * examples + 1, dims)``.
        """
        answers = torch.zeros_like(self.x)
        answers[..., 0] = self.y
        return torch.stack([self.x, answers], dim=2).flatten(1, 2)[:, :-1]

    def to(self, device: torch.device) -> Prompts:
        """The same on a device."""
        return Prompts(x=self.x.to(device), w=self.w.to(device))

    def part(self, start: int, stop: int) -> Prompts:
        """The prompts from ``start`` to before ``stop``."""
        return Prompts(x=self.x[start:stop], w=self.w[start:stop])


def draw_prompts(
    purpose: str, seed: int, count: int, *, n_dims: int, n_examples: int, active_dims: int | None = None
) -> Prompts:
    """Draw prompts: entries of ``x`` and ``w`` are independent and standard normal. On the CPU.

    Args:
        purpose: What for, in words; of each purpose and seed the draws are the same on every machine.
        seed: Any integer.
        count: How many.
        n_dims: Entries of each ``x``.
        n_examples: Examples before the last query.
        active_dims: Entries of ``x`` that are not zero, for a curriculum; None for all.

    Source:
        Garg, Tsipras, Liang and Valiant (2022), arXiv:2208.01066.
    """
    draws = generator_of(purpose, seed)
    x = torch.randn(count, n_examples + 1, n_dims, generator=draws)
    if active_dims is not None:
        x[..., active_dims:] = 0
    return Prompts(x=x, w=torch.randn(count, n_dims, generator=draws))


def normalised_errors(predicted: Tensor, prompts: Prompts) -> Tensor:
    """Squared errors over ``d``, of which always to say zero has the mean 1.

    Args:
        predicted: Shape ``(prompts, examples + 1)``: for each query what was predicted from the examples before it.
        prompts: What was asked.

    Returns:
        The same shape; column ``k`` is the error after ``k`` examples.
    """
    return (predicted - prompts.y).square() / prompts.n_dims
