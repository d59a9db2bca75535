"""Assumption 1's own C_t."""

from math import log

import pytest
import torch

from clipsweep.trials.theory.linear_stack import implicit_updates, trajectory
from tests.benchmarks.theory_noise import noise_bound, noise_of_single, single_gradients
from tests.trials.theory.stacks import draw_blocks


def test_single_gradients_have_the_implicit_gradient_as_their_mean() -> None:
    blocks = draw_blocks(0, 3, 3)
    demonstrations = torch.randn(5, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    steps = trajectory(implicit_updates(blocks, demonstrations))
    for single, step in zip(single_gradients(blocks, demonstrations), steps, strict=True):
        torch.testing.assert_close(single.mean(-3), step.gradient, rtol=1e-9, atol=1e-9)


def test_the_bound_is_the_one_worked_out_by_hand() -> None:
    # Single gradients diag(1, 2), diag(1, -2), 0 and diag(2, 0): mean diag(1, 0), centred (0, ±2), (∓1, 0).
    # C for b = 1 is diag(2, 8) / 4 on the two entries of the diagonal, |G| = 1, N = 4, d = 2.
    # b = 1: 2 log((1 + 2.5) / 2) - log 0.5 - log 2. b = 2: all variances by (4 - 2) / (2 · 3) = 1/3.
    single = torch.diag_embed(torch.tensor([[1.0, 2], [1, -2], [0, 0], [2, 0]], dtype=torch.float64))
    noise = noise_of_single(single[None])
    assert noise.ranks.tolist() == [2]
    assert float(noise_bound([noise], 4, 1, 3.0)) == pytest.approx(3 * (2 * log(1.75) / 4) ** 0.5)
    smaller = 2 * log((1 + 2.5 / 3) / 2) - log(0.5 / 3) - log(2 / 3)
    assert float(noise_bound([noise], 4, 2, 3.0)) == pytest.approx(3 * (smaller / 4) ** 0.5)


def test_within_one_set_every_block_is_singular_however_many_demonstrations_there_are() -> None:
    # each is value · h hᵀ · keyᵀ · query (1 + W), linear in a symmetric matrix: 3 · 4 / 2 = 6 of 9 entries
    demonstrations = 0.1 * torch.randn(2, 3, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for single in single_gradients(draw_blocks(0, 3, 3), demonstrations):
        assert noise_of_single(single).ranks.tolist() == [6, 6]
