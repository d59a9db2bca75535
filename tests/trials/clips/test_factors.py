from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.factors import compute_factors, compute_singular_values

NAME = "layer 3 fc_in (transformer.h.3.mlp.fc_in.weight)"
exact_svd, exact_svdvals = torch.linalg.svd, torch.linalg.svdvals


def random_matrix(rows: int, cols: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> set[torch.dtype]:
    """Dtypes in which no SVD converges from now on."""
    dtypes: set[torch.dtype] = set()

    def svd(weight: Tensor, **options: Any) -> Any:
        if weight.dtype in dtypes:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")  # type: ignore[attr-defined]
        return exact_svd(weight, **options)

    def svdvals(weight: Tensor, **options: Any) -> Any:
        if weight.dtype in dtypes:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")  # type: ignore[attr-defined]
        return exact_svdvals(weight, **options)

    monkeypatch.setattr(torch.linalg, "svd", svd)
    monkeypatch.setattr(torch.linalg, "svdvals", svdvals)
    return dtypes


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 12))
def test_low_rank_is_the_nearest_matrix_of_its_rank(rows: int, cols: int, rank: int) -> None:
    weight = random_matrix(rows, cols, seed=rank)
    rank = min(rank, rows, cols)
    low = compute_factors(weight, NAME).low_rank(rank)
    dropped = torch.linalg.svdvals(weight)[rank:]
    assert torch.linalg.matrix_rank(low) == rank
    torch.testing.assert_close(torch.linalg.norm(weight - low), torch.linalg.norm(dropped), atol=1e-4, rtol=1e-4)


def test_an_svd_that_does_not_converge_is_computed_in_float64(
    stubborn: set[torch.dtype], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(4, 6)
    expected = compute_factors(weight, NAME)
    stubborn.add(torch.float32)
    retried = compute_factors(weight, NAME)
    assert [record.message for record in caplog.records] == [
        f"the SVD of {NAME} does not converge in float32; it is computed in float64"
    ]
    assert (retried.u.dtype, retried.s.dtype, retried.vh.dtype) == (torch.float32,) * 3
    torch.testing.assert_close(retried.low_rank(2), expected.low_rank(2))


def test_an_svd_that_converges_in_no_dtype_is_refused_by_name(stubborn: set[torch.dtype]) -> None:
    stubborn.update({torch.float32, torch.float64})
    with pytest.raises(EvaluationError, match=r"SVD of layer 3 fc_in .* neither .* expected finite .* largest .*\(7\)"):
        compute_factors(torch.full((2, 2), -7.0), NAME)


def test_factors_too_large_for_float32_are_refused() -> None:
    with pytest.raises(EvaluationError, match="expected finite factors"):
        compute_factors(torch.full((2, 2), 3e38), NAME)  # its singular value is 6e38; float32 ends at 3.4e38


def test_singular_values_alone_are_those_of_the_factors() -> None:
    weight = random_matrix(12, 20)
    values = compute_singular_values(weight, NAME)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, compute_factors(weight, NAME).s)


def test_singular_values_that_do_not_converge_are_computed_in_float64(
    stubborn: set[torch.dtype], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(12, 20)
    expected = compute_singular_values(weight, NAME)
    stubborn.add(torch.float32)
    torch.testing.assert_close(compute_singular_values(weight, NAME), expected)
    assert "does not converge in float32; it is computed in float64" in caplog.text


def test_singular_values_that_converge_in_no_dtype_are_refused_by_name(stubborn: set[torch.dtype]) -> None:
    stubborn.update({torch.float32, torch.float64})
    with pytest.raises(EvaluationError, match=r"the SVD of layer 3 fc_in .* converges neither"):
        compute_singular_values(random_matrix(4, 4), NAME)
