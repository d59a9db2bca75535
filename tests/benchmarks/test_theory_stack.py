"""The stacks that Theorem 2's bound is measured on."""

import pytest
import torch

from clipsweep.trials.theory.linear_stack import LinearBlock
from tests.benchmarks.theory_stack import WIDTH, draw_sets, losses, train


def test_a_query_is_answered_without_its_label() -> None:
    # One demonstration (1, 0, 0, 2), identity matrices: the query (3, 0, 0, 0) becomes (3, 0, 0, 0) + 3 · (1, 0, 0, 2),
    # whose last entry is 6; its label is 5, so that the squared error is 1.
    one = torch.eye(WIDTH, dtype=torch.float64)
    column = torch.tensor([[1.0, 3], [0, 0], [0, 0], [2, 5]], dtype=torch.float64)
    error = losses([LinearBlock(query=one, key=one, value=one)], column[:, :1], column[:, 1:])
    assert error.tolist() == [1]


def test_sets_of_a_task_share_its_weights() -> None:
    drawn = draw_sets(torch.Generator().manual_seed(0), 2, 400, 8)
    tokens = torch.cat([drawn.demonstrations, drawn.queries], dim=-1).transpose(-1, -2).flatten(1, 2)
    weights = [
        torch.linalg.lstsq(task[half, :-1], task[half, -1:]).solution
        for task in tokens
        for half in (slice(4000), slice(4000, None))
    ]
    torch.testing.assert_close(weights[0], weights[1], atol=0.05, rtol=0)
    assert float((weights[0] - weights[2]).abs().max()) > 0.3


@pytest.mark.slow
def test_a_trained_stack_predicts_better_than_zero() -> None:
    drawn = draw_sets(torch.Generator().manual_seed(1), 50, 4, 8)
    errors = losses(train(0, steps=300), drawn.demonstrations, drawn.queries)
    assert float(errors.mean()) < 0.5 * float(drawn.queries[..., -1, :].square().mean())
