"""Small linear-attention stacks trained on in-context linear regression, and what clipping does to their errors.

Tokens are ``[x, y]``, of a query ``[x, 0]``; the stack's answer is the last entry of the query's state. Within a task
the weights are the same in all sets, as Theorem 2 has it. Labels are noisy, so that there is something to fit wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import torch
from torch import Tensor

from clipsweep.trials.theory.bound import Bound, Singular, generalization_bound
from clipsweep.trials.theory.clip_effect import MatrixName, split_block
from clipsweep.trials.theory.linear_stack import LinearBlock, Step, implicit_updates, run_stack, trajectory
from tests.benchmarks.theory_noise import noise_bound, noise_of_single, single_gradients

INPUTS, BLOCKS, DEMONSTRATIONS, NOISE = 3, 3, 12, 0.5
WIDTH = INPUTS + 1
STEPS, BATCH, LEARNING_RATE = 2000, 256, 3e-3
TASKS, SETS, QUERIES = 6, 1000, 8
FEWER = SETS // 10
BATCHES = (1, DEMONSTRATIONS // 2)  # b of Assumption 1, which the paper leaves open
LIMIT = 9.0  # of the squared error, so that the loss is sub-Gaussian: R = LIMIT / 2
MATRICES: tuple[MatrixName, ...] = ("query", "key", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipped:
    """A stack with one clip, or with none.

    Attributes:
        block: Which is clipped; None for the untouched stack.
        matrix: Which of its matrices.
        rank: What is left of it.
        population: Mean loss on new queries, over sets and tasks.
        gap: That, less the mean loss on the demonstrations: the expected generalization error.
        log_updates: Mean over sets of ``Σ_t log |ΔW_t|``.
        log_gradients: Mean over sets of ``Σ_t log |G_t|``.
        bounds: By what becomes of a singular C_t and by the number of sets, one bound for each task.
        own_bounds: With Assumption 1's own C_t in its range, by b: the mean over tasks of the tight form.
        own_ranks: Of that C_t, the largest of any set, for each block.
    """

    block: int | None
    matrix: str
    rank: int
    population: float
    gap: float
    log_updates: float
    log_gradients: float
    bounds: dict[tuple[Singular, int], tuple[Bound, ...]]
    own_bounds: dict[int, float]
    own_ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Demonstration sets of several tasks, and new queries.

    Attributes:
        demonstrations: Shape ``(tasks, sets, WIDTH, DEMONSTRATIONS)``.
        queries: New ones, with their labels: ``(tasks, sets, WIDTH, QUERIES)``.
    """

    demonstrations: Tensor
    queries: Tensor


def draw_sets(generator: torch.Generator, tasks: int, sets: int, queries: int) -> Sets:
    """Sets of tasks whose weights are drawn, one task after the other."""
    weights = torch.randn(tasks, 1, 1, INPUTS, dtype=torch.float64, generator=generator) / INPUTS**0.5
    shape = tasks, sets, INPUTS, DEMONSTRATIONS + queries
    inputs = torch.randn(shape, dtype=torch.float64, generator=generator)
    noise = torch.randn(tasks, sets, 1, shape[-1], dtype=torch.float64, generator=generator)
    tokens = torch.cat([inputs, weights @ inputs + NOISE * noise], dim=2)
    return Sets(demonstrations=tokens[..., :DEMONSTRATIONS], queries=tokens[..., DEMONSTRATIONS:])


def losses(blocks: Sequence[LinearBlock], demonstrations: Tensor, asked: Tensor) -> Tensor:
    """Squared errors of tokens ``(…, WIDTH, asked)`` that are asked without their labels; shape ``(…, asked)``."""
    masked = torch.cat([asked[..., :-1, :], torch.zeros_like(asked[..., -1:, :])], dim=-2)
    answers = run_stack(blocks, demonstrations, masked)[-1][..., -1, demonstrations.shape[-1] :]
    return (answers - asked[..., -1, :]).square()


def train(seed: int, steps: int = STEPS) -> list[LinearBlock]:
    """A stack trained by Adam on fresh tasks; seeded, some seconds."""
    generator = torch.Generator().manual_seed(seed)
    weights = 0.5 * torch.randn(BLOCKS, 3, WIDTH, WIDTH, dtype=torch.float64, generator=generator)
    weights.requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=LEARNING_RATE)
    for _ in range(steps):
        drawn = draw_sets(generator, BATCH, 1, 1)
        loss = losses(_blocks(weights), drawn.demonstrations, drawn.queries).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_([weights], 1.0)
        optimizer.step()
    return _blocks(weights.detach())


def _blocks(weights: Tensor) -> list[LinearBlock]:
    return [LinearBlock(query=query / DEMONSTRATIONS, key=key, value=value) for query, key, value in weights]


def every_clip(blocks: Sequence[LinearBlock], drawn: Sets) -> list[Clipped]:
    """The untouched stack, then each block, matrix and rank below the full one."""
    found = [measure(blocks, drawn, None, "none", WIDTH)]
    for block, matrix, rank in product(range(len(blocks)), MATRICES, range(1, WIDTH)):
        kept = split_block(blocks[block], matrix, rank).kept
        found.append(measure([*blocks[:block], kept, *blocks[block + 1 :]], drawn, block, matrix, rank))
    return found


def measure(blocks: Sequence[LinearBlock], drawn: Sets, block: int | None, matrix: str, rank: int) -> Clipped:
    """Losses, norms and bounds of a stack."""
    new = losses(blocks, drawn.demonstrations, drawn.queries).clamp_max(LIMIT).mean()
    seen = losses(blocks, drawn.demonstrations, drawn.demonstrations).clamp_max(LIMIT).mean()
    steps = trajectory(implicit_updates(blocks, drawn.demonstrations))
    noises = [noise_of_single(each) for each in single_gradients(blocks, drawn.demonstrations[:, :FEWER])]
    return Clipped(
        block=block,
        matrix=matrix,
        rank=rank,
        population=float(new),
        gap=float(new - seen),
        log_updates=sum(float(step.update.flatten(-2).norm(dim=-1).log().mean()) for step in steps),
        log_gradients=sum(float(step.gradient.flatten(-2).norm(dim=-1).log().mean()) for step in steps),
        bounds=_bounds(steps),
        own_bounds={b: float(noise_bound(noises, DEMONSTRATIONS, b, LIMIT / 2).mean()) for b in BATCHES},
        own_ranks=tuple(int(noise.ranks.max()) for noise in noises),
    )


def _bounds(steps: Sequence[Step]) -> dict[tuple[Singular, int], tuple[Bound, ...]]:
    """Bounds of each task, from all sets, and shrunk ones from a tenth of them too."""
    ways: tuple[tuple[Singular, int], ...] = (("refuse", SETS), ("shrink", SETS), ("shrink", FEWER), ("range", SETS))
    return {
        (singular, sets): tuple(
            generalization_bound(
                [_of_task(step, task, sets) for step in steps],
                demonstrations=DEMONSTRATIONS,
                spread=LIMIT / 2,
                singular=singular,
            )
            for task in range(TASKS)
        )
        for singular, sets in ways
    }


def _of_task(step: Step, task: int, sets: int) -> Step:
    """The first sets of one task."""
    return Step(update=step.update[task, :sets], gradient=step.gradient[task, :sets], total=step.total[task, :sets])


def mean_bound(clipped: Clipped, singular: Singular, sets: int, form: str) -> float | None:
    """Mean over the tasks of one form of the bound; None where a task has none."""
    known = [value for bound in clipped.bounds[singular, sets] if (value := getattr(bound, form)) is not None]
    return fmean(known) if len(known) == TASKS else None
