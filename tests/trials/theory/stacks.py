"""Linear-attention stacks and demonstrations that tests draw."""

import torch
from torch import Tensor

from clipsweep.trials.theory.linear_stack import LinearBlock


def matrix(*rows: tuple[float, ...]) -> Tensor:
    """A float64 matrix as it is written down."""
    return torch.tensor(rows, dtype=torch.float64)


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    """Normal entries whose rows have a norm of about one."""
    entries: Tensor = torch.randn(shape, dtype=torch.float64, generator=generator) / shape[-1] ** 0.5
    return entries


def draw_blocks(seed: int, width: int, blocks: int, heads: int | None = None, mlp: bool = False) -> list[LinearBlock]:
    """Random blocks; half as many keys as the width where there are heads."""
    generator = torch.Generator().manual_seed(seed)
    before = () if heads is None else (heads,)
    keys = width if heads is None else width // 2

    def block() -> LinearBlock:
        return LinearBlock(
            query=draw(generator, *before, keys, width),
            key=draw(generator, *before, keys, width),
            value=draw(generator, *before, width, width),
            mlp=draw(generator, width, width) if mlp else None,
        )

    return [block() for _ in range(blocks)]


def draw_states(seed: int, width: int, tokens: int) -> Tensor:
    """Normal hidden states as columns, shape ``(width, tokens)``, of norm about one."""
    return draw(torch.Generator().manual_seed(seed), tokens, width).T.contiguous()
