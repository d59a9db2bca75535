"""Which statements of the paper's theory hold: Examples 1 to 4 on random and real weights, Theorem 2 on trained stacks.

    python -m tests.benchmarks.theory_statements

prints a document with every figure of ``docs/theory.md`` on them, in about two minutes of one core. All is seeded.
The statements on real weights need the shared folder's model, and are left out without it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.theory.clip_effect import Claim, MatrixName, clip_effect
from clipsweep.trials.theory.linear_stack import LinearBlock
from clipsweep.trials.theory.stack_norms import stack_norms
from tests.benchmarks.document import machine
from tests.benchmarks.theory_bound import bound_figures
from tests.benchmarks.theory_heads import TOKENS, Attention, embedded_attention, prompts_attention
from tests.conftest import REAL_MODEL

RATES = (0.25, 0.5, 0.75, 0.9)
RANDOM_STACKS, RANDOM_WIDTH, RANDOM_TOKENS = 50, 16, 8
PROMPTS = 1
WITHOUT: tuple[MatrixName, ...] = ("query", "key", "value")
WITH: tuple[MatrixName, ...] = (*WITHOUT, "mlp")
SUMMED = "|ΔW_t|² ≤ (Σ_i a_i)²"
CLIPPED = 1  # the middle one of three blocks, so that it has one before it and one after


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stack of three blocks whose middle one is clipped.

    Attributes:
        family: What kind of stack it is.
        blocks: Three.
        demonstrations: What enters the first.
        full_rank: Singular values of its matrices; a clip rate is a share of these.
        matrices: Which are clipped, one at a time.
    """

    family: str
    blocks: tuple[LinearBlock, ...]
    demonstrations: Tensor
    full_rank: int
    matrices: tuple[MatrixName, ...]


def random_cases() -> Iterator[Case]:
    """Normal entries, without and with a matrix in the place of the MLP."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        entries: Tensor = torch.randn(shape, dtype=torch.float64, generator=generator) / RANDOM_WIDTH**0.5
        return entries

    def block(mlp: bool) -> LinearBlock:
        square = RANDOM_WIDTH, RANDOM_WIDTH
        return LinearBlock(
            query=draw(*square), key=draw(*square), value=draw(*square), mlp=draw(*square) if mlp else None
        )

    for _, mlp in product(range(RANDOM_STACKS), (False, True)):
        family, matrices = ("random, with W_MLP", WITH) if mlp else ("random", WITHOUT)
        blocks = [block(mlp) for _ in range(3)]
        yield _case(family, blocks, draw(RANDOM_WIDTH, RANDOM_TOKENS), RANDOM_WIDTH, matrices)


def real_cases(name: str, attention: Attention) -> Iterator[Case]:
    """Three blocks that follow each other: the same head of each, in both forms, and all heads."""
    keys, heads = attention.query[0].shape[1], attention.heads
    for hidden, first in product(attention.hidden, range(len(attention.query) - 2)):
        window = range(first, first + 3)

        for head in range(heads):
            blocks = [attention.paper_head(t, head) for t in window]
            yield _case(f"{name}, one head", blocks, hidden[first], keys, WITHOUT)
            blocks = [attention.whole_head(t, head) for t in window]
            yield _case(f"{name}, one head, W_O apart", blocks, hidden[first], keys, WITH)
        blocks = [attention.all_heads(t) for t in window]
        yield _case(f"{name}, all heads", blocks, hidden[first], keys * heads, WITH)


def _case(
    family: str,
    blocks: Sequence[LinearBlock],
    demonstrations: Tensor,
    full_rank: int,
    matrices: tuple[MatrixName, ...],
) -> Case:
    return Case(
        family=family,
        blocks=tuple(blocks),
        demonstrations=demonstrations,
        full_rank=full_rank,
        matrices=matrices,
    )


def tally(cases: Iterator[Case]) -> list[dict[str, Any]]:
    """For each family, matrix and claim how often it holds, and how large its left side is beside its right one."""
    found: dict[tuple[str, str, str], list[tuple[bool, float]]] = defaultdict(list)
    for case in cases:
        for number, norms in enumerate(stack_norms(case.blocks, case.demonstrations)):
            place = "untouched, later blocks" if number else "untouched, first block"
            for name, bound in ((Claim.BOUND.value, norms.stated), (SUMMED, norms.summed)):
                ratio = norms.update**2 / bound
                found[case.family, place, name].append((ratio <= 1, ratio))
        for matrix, rate in product(case.matrices, RATES):
            rank = kept_rank(rate, case.full_rank, case.full_rank)
            for each in clip_effect(case.blocks, case.demonstrations, CLIPPED, matrix, rank).statements:
                if each.claim != Claim.BOUND:
                    found[case.family, matrix, each.claim.value].append((each.holds, each.left / each.right))
    return [
        {
            "stack": family,
            "matrix": matrix,
            "claim": claim,
            "holds": sum(holds for holds, _ in each),
            "of": len(each),
            "median_left_to_right": median(ratio for _, ratio in each),
            "largest_left_to_right": max(ratio for _, ratio in each),
        }
        for (family, matrix, claim), each in found.items()
    ]


def statements() -> list[dict[str, Any]]:
    """On random weights, on the embedded model, and on the shared folder's model where it is."""
    rows = tally(random_cases())
    rows += tally(real_cases("embedded", embedded_attention(PROMPTS)))
    if REAL_MODEL.is_dir():
        rows += tally(real_cases("gptj-prompts-5m", prompts_attention(PROMPTS)))
    else:
        print(f"{REAL_MODEL} is not there; its figures are left out.", file=sys.stderr)
    return rows


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    settings = {"rates": RATES, "tokens": TOKENS, "prompts": PROMPTS, "random_stacks": RANDOM_STACKS}
    document = {"machine": machine(), "settings": settings, "statements": statements(), "bound": bound_figures()}
    print(json.dumps(document, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
