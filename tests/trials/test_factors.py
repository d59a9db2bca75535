import logging
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trials import factors as factors_module
from trials.errors import EvaluationError
from trials.factors import FactorCache, Factors, compute_factors


def random_matrix(rows: int, cols: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Every weight that is factored from now on."""
    seen: list[Tensor] = []

    def count(weight: Tensor) -> Factors:
        seen.append(weight)
        return compute_factors(weight)

    monkeypatch.setattr(factors_module, "compute_factors", count)
    return seen


def stored_file(cache: Path) -> Path:
    return next((cache / "factors").rglob("*.safetensors"))


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 12))
def test_low_rank_is_the_nearest_matrix_of_its_rank(rows: int, cols: int, rank: int) -> None:
    weight = random_matrix(rows, cols, seed=rank)
    rank = min(rank, rows, cols)
    low = compute_factors(weight).low_rank(rank)
    dropped = torch.linalg.svdvals(weight)[rank:]
    assert torch.linalg.matrix_rank(low) == rank
    torch.testing.assert_close(torch.linalg.norm(weight - low), torch.linalg.norm(dropped), atol=1e-4, rtol=1e-4)


def test_a_matrix_is_factored_once_for_all_users_of_a_cache(cache: Path, counted: list[Tensor]) -> None:
    weight = random_matrix(6, 9)
    first, again = FactorCache(cache).get(weight), FactorCache(cache).get(weight.clone())
    assert len(counted) == 1
    assert torch.equal(first.low_rank(3), again.low_rank(3))


def test_users_that_come_at_the_same_time_share_the_work(cache: Path, counted: list[Tensor]) -> None:
    weight = random_matrix(200, 300)
    threads = [threading.Thread(target=FactorCache(cache).get, args=(weight,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 1


def test_other_weights_have_other_factors(cache: Path, counted: list[Tensor]) -> None:
    for seed in (0, 1):
        FactorCache(cache).get(random_matrix(4, 4, seed))
    assert len(counted) == 2


def test_a_damaged_file_is_reported_and_computed_again(
    cache: Path, counted: list[Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(5, 5)
    expected = FactorCache(cache).get(weight)
    path = stored_file(cache)
    path.write_bytes(path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING):
        again = FactorCache(cache).get(weight)
    assert "damaged" in caplog.text
    assert torch.equal(again.u, expected.u)
    assert len(counted) == 2


def test_factors_of_other_weights_are_reported_and_never_used(
    cache: Path, counted: list[Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = random_matrix(5, 5, 0), random_matrix(5, 5, 1)
    expected = FactorCache(cache).get(ours)
    path = stored_file(cache)
    FactorCache(cache / "other").get(theirs)
    path.write_bytes(stored_file(cache / "other").read_bytes())
    with caplog.at_level(logging.WARNING):
        assert torch.equal(FactorCache(cache).get(ours).u, expected.u)
    assert "made from other weights" in caplog.text
    assert len(counted) == 3


def test_weights_that_are_not_finite_are_refused(cache: Path) -> None:
    with pytest.raises(EvaluationError, match="weights of a clipped matrix are not finite"):
        FactorCache(cache).get(torch.full((3, 3), float("nan")))


def test_half_precision_weights_are_factored_in_float32(cache: Path) -> None:
    factors = FactorCache(cache).get(random_matrix(4, 6).to(torch.bfloat16))
    assert factors.u.dtype == torch.float32
