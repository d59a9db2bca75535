import pytest
import torch

from clipsweep.trials.theory.covariance import estimate_covariance
from tests.trials.theory.stacks import matrix

SQUARE = matrix((2, 0), (-2, 0), (0, 1), (0, -1))


def test_the_shrinkage_is_the_one_worked_out_by_hand() -> None:
    # S = diag(8, 2) / 4 = diag(2, 0.5); its mean variance is 1.25; |S - 1.25|² = 2 · 0.75² = 1.125.
    # Σ |x|⁴ / 4 = (16 + 16 + 1 + 1) / 4 = 8.5; |S|² = 4.25; noise = (8.5 - 4.25) / 4 = 1.0625.
    # Shrinkage: 1.0625 / 1.125 = 17 / 18.
    # Shrunk: 2 / 18 + 1.25 · 17/18 = 23.25 / 18 and 0.5 / 18 + 1.25 · 17/18 = 21.75 / 18.
    covariance = estimate_covariance(SQUARE)
    assert covariance.eigenvalues.tolist() == pytest.approx([2, 0.5])
    assert covariance.shrinkage == pytest.approx(17 / 18)
    assert covariance.shrunk.tolist() == pytest.approx([23.25 / 18, 21.75 / 18])
    assert (covariance.rank, covariance.draws) == (2, 4)


def test_the_mean_is_taken_off() -> None:
    moved = estimate_covariance(SQUARE + matrix((5, -3)))
    torch.testing.assert_close(moved.eigenvalues, estimate_covariance(SQUARE).eigenvalues)


def test_more_draws_are_shrunk_less() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(4000, 6, dtype=torch.float64) * torch.arange(1, 7)
    few, many = estimate_covariance(vectors[:40]).shrinkage, estimate_covariance(vectors).shrinkage
    assert 0 < many < few / 10 < 0.1


def test_a_singular_covariance_is_told_by_its_rank_and_its_shrunk_one_can_be_inverted() -> None:
    torch.manual_seed(0)
    covariance = estimate_covariance(torch.randn(50, 2, dtype=torch.float64) @ torch.randn(2, 5, dtype=torch.float64))
    assert covariance.rank == 2
    assert float(covariance.shrunk.min()) == pytest.approx(covariance.shrinkage * covariance.mean_variance)
    assert float(covariance.shrunk.sum()) == pytest.approx(float(covariance.eigenvalues.sum()))


def test_vectors_that_do_not_vary_have_no_variance() -> None:
    covariance = estimate_covariance(matrix((1, 2), (1, 2), (1, 2)))
    assert (covariance.rank, covariance.mean_variance) == (0, 0)


def test_vectors_on_another_device_than_the_default_one_are_taken() -> None:
    # a tensor made without naming a device would be on "meta", where it cannot meet the vectors
    with torch.device("meta"):
        covariance = estimate_covariance(SQUARE)
    assert covariance.shrinkage == pytest.approx(17 / 18)
