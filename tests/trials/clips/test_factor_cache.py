import errno
import multiprocessing
import os
import shutil
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError, SpecError
from clipsweep.trials.clips import factor_cache as factors_module
from clipsweep.trials.clips.factor_cache import FactorCache, Factors, compute_factors, compute_singular_values

NAME = "layer 3 fc_in (transformer.h.3.mlp.fc_in.weight)"
exact_svd, exact_svdvals = torch.linalg.svd, torch.linalg.svdvals


def random_matrix(rows: int, cols: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name of every matrix that is factored from now on."""
    seen: list[str] = []

    def count(weight: Tensor, name: str) -> Factors:
        seen.append(name)
        return compute_factors(weight, name)

    monkeypatch.setattr(factors_module, "compute_factors", count)
    return seen


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


def stored_files(cache: Path) -> set[Path]:
    return set((cache / "factors").rglob("*.safetensors"))


def stored_file(cache: Path) -> Path:
    (path,) = stored_files(cache)
    return path


def store(cache: Path, seed: int, used_at: int) -> Path:
    """Store factors of a 4 x 4 matrix, last used ``used_at`` seconds after 1970."""
    before = stored_files(cache)
    FactorCache(cache).get(random_matrix(4, 4, seed), NAME)
    (path,) = stored_files(cache) - before
    os.utime(path, (used_at, used_at))
    return path


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 12))
def test_low_rank_is_the_nearest_matrix_of_its_rank(rows: int, cols: int, rank: int) -> None:
    weight = random_matrix(rows, cols, seed=rank)
    rank = min(rank, rows, cols)
    low = compute_factors(weight, NAME).low_rank(rank)
    dropped = torch.linalg.svdvals(weight)[rank:]
    assert torch.linalg.matrix_rank(low) == rank
    torch.testing.assert_close(torch.linalg.norm(weight - low), torch.linalg.norm(dropped), atol=1e-4, rtol=1e-4)


def test_a_matrix_is_factored_once_for_all_users_of_a_cache(cache: Path, counted: list[str]) -> None:
    weight = random_matrix(60, 90)
    first, again = FactorCache(cache).get(weight, NAME), FactorCache(cache).get(weight.clone(), "another name")
    assert counted == [NAME]
    assert torch.equal(first.low_rank(30), again.low_rank(30))


def test_users_that_come_at_the_same_time_share_the_work(cache: Path, counted: list[str]) -> None:
    weight = random_matrix(200, 300)
    threads = [threading.Thread(target=FactorCache(cache).get, args=(weight, NAME)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == [NAME]


def factor_in_a_process(cache: Path, ready: Barrier) -> None:
    """Leave a file beside the cache if this process computes factors."""

    def mark(weight: Tensor, name: str) -> Factors:
        (cache.parent / f"computed-{os.getpid()}").touch()
        return compute_factors(weight, name)

    factors_module.compute_factors = mark
    weight = random_matrix(300, 400)
    ready.wait(60)
    FactorCache(cache).get(weight, NAME)


@pytest.mark.slow
def test_two_processes_compute_a_matrix_once(cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    processes = [context.Process(target=factor_in_a_process, args=(cache, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(cache.parent.glob("computed-*"))) == 1


def test_other_weights_have_other_factors(cache: Path, counted: list[str]) -> None:
    for seed in (0, 1):
        FactorCache(cache).get(random_matrix(4, 4, seed), NAME)
    assert len(counted) == 2


def test_half_precision_weights_are_factored_in_float32(cache: Path) -> None:
    factors = FactorCache(cache).get(random_matrix(4, 6).to(torch.bfloat16), NAME)
    assert factors.u.dtype == torch.float32


def test_weights_that_are_not_finite_are_refused_by_name(cache: Path) -> None:
    weight = torch.ones(3, 3)
    weight[1] = float("nan")
    with pytest.raises(EvaluationError, match=r"layer 3 fc_in .* has 3 weights of 9 .* finite numbers only.* float32"):
        FactorCache(cache).get(weight, NAME)
    assert not stored_files(cache)


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


def flip_bit(path: Path, content: bytes, place: int) -> None:
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def test_a_bit_flipped_in_the_tensors_is_reported_and_the_factors_computed_again(
    cache: Path, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(5, 5)
    expected = FactorCache(cache).get(weight, NAME)
    path = stored_file(cache)
    flip_bit(path, path.read_bytes(), -20)
    assert torch.equal(FactorCache(cache).get(weight, NAME).vh, expected.vh)
    assert f"{NAME} in {path} are damaged (their checksum is another)" in caplog.text
    assert len(counted) == 2


def test_a_bit_flipped_anywhere_in_a_file_keeps_it_from_being_used(cache: Path, counted: list[str]) -> None:
    weight = random_matrix(4, 5)
    expected = FactorCache(cache).get(weight, NAME)
    path = stored_file(cache)
    content = path.read_bytes()
    places = range(0, len(content), 7)
    for place in places:
        flip_bit(path, content, place)
        assert torch.equal(FactorCache(cache).get(weight, NAME).vh, expected.vh)
    assert len(counted) == 1 + len(places)


def test_a_file_cut_short_is_reported_and_replaced(
    cache: Path, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(5, 5)
    FactorCache(cache).get(weight, NAME)
    path = stored_file(cache)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    FactorCache(cache).get(weight, NAME)
    assert f"{NAME} in {path} cannot be read" in caplog.text
    assert load_file(path).keys() == {"u", "s", "vh"}
    assert len(counted) == 2


def test_factors_of_other_weights_are_reported_and_never_used(
    cache: Path, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = random_matrix(5, 5, 0), random_matrix(5, 5, 1)
    expected = FactorCache(cache).get(ours, NAME)
    path = stored_file(cache)
    FactorCache(cache / "other").get(theirs, NAME)
    shutil.copy(stored_file(cache / "other"), path)
    assert torch.equal(FactorCache(cache).get(ours, NAME).u, expected.u)
    assert "were made from other weights" in caplog.text
    assert len(counted) == 3


def test_a_foreign_file_is_reported_and_never_used(
    cache: Path, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    weight = random_matrix(5, 5)
    expected = FactorCache(cache).get(weight, NAME)
    save_file({"u": torch.zeros(5, 5)}, stored_file(cache))
    assert torch.equal(FactorCache(cache).get(weight, NAME).u, expected.u)
    assert "have layout None, not 2" in caplog.text
    assert len(counted) == 2


def test_a_file_that_vanishes_before_it_is_read_is_computed_again(
    cache: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def vanish(path: Path, **options: Any) -> Any:
        path.unlink(missing_ok=True)
        return safe_open(path, **options)

    FactorCache(cache).get(random_matrix(5, 5), NAME)
    monkeypatch.setattr(factors_module, "safe_open", vanish)
    FactorCache(cache).get(random_matrix(5, 5), NAME)
    assert len(counted) == 2
    assert not caplog.records


def test_the_last_factors_stay_in_memory_however_large(cache: Path) -> None:
    factors = FactorCache(cache, memory_bytes=0)
    weight = random_matrix(5, 5)
    first = factors.get(weight, NAME)
    shutil.rmtree(cache)
    assert factors.get(weight, NAME) is first


def test_memory_keeps_the_most_recently_used_factors_that_fit(cache: Path) -> None:
    factors = FactorCache(cache, memory_bytes=2 * 4 * (16 + 4 + 16))  # two matrices of 4 x 4, 4 bytes a number
    first, second = (factors.get(random_matrix(4, 4, seed), f"matrix {seed}") for seed in (1, 2))
    factors.get(random_matrix(4, 4, 1), "matrix 1")
    factors.get(random_matrix(4, 4, 3), "matrix 3")
    assert factors.get(random_matrix(4, 4, 1), "matrix 1") is first
    assert factors.get(random_matrix(4, 4, 2), "matrix 2") is not second


def test_a_matrix_is_hashed_once_for_its_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factors, weight = FactorCache(cache), random_matrix(5, 5)
    first = factors.get(weight, NAME)
    monkeypatch.setattr(factors_module, "_hash", None)
    assert factors.get(weight, NAME) is first


def test_the_least_recently_used_files_make_room_on_disk(cache: Path) -> None:
    old, older, oldest = (store(cache, seed, used_at) for seed, used_at in ((1, 3000), (2, 2000), (3, 1000)))
    FactorCache(cache).get(random_matrix(4, 4, 3), NAME)  # the oldest is now the latest used
    FactorCache(cache, limit_bytes=2.5 * old.stat().st_size).get(random_matrix(4, 4, 4), NAME)
    assert oldest in stored_files(cache)
    assert not {old, older} & stored_files(cache)
    assert len(stored_files(cache)) == 2
    assert not older.with_suffix(".lock").exists()


def test_a_file_larger_than_the_limit_stays_until_the_next(cache: Path) -> None:
    factors = FactorCache(cache, limit_bytes=1)
    for seed in (1, 2):
        factors.get(random_matrix(4, 4, seed), f"matrix {seed}")
        assert torch.equal(load_file(stored_file(cache))["s"], compute_factors(random_matrix(4, 4, seed), NAME).s)


def test_a_file_whose_lock_is_held_is_not_deleted(cache: Path) -> None:
    held, free = store(cache, 1, used_at=1000), store(cache, 2, used_at=2000)
    with FileLock(held.with_suffix(".lock")):
        FactorCache(cache, limit_bytes=1).get(random_matrix(4, 4, 3), NAME)
    assert held in stored_files(cache)
    assert free not in stored_files(cache)


def test_a_draft_that_is_being_written_is_not_deleted(cache: Path) -> None:
    path = store(cache, 1, used_at=1000)
    draft = path.rename(path.with_name(f".draft-{'0' * 32}-{path.name}"))
    with FileLock(path.with_suffix(".lock")):
        FactorCache(cache, limit_bytes=1).get(random_matrix(4, 4, 2), NAME)
    assert draft in stored_files(cache)


def test_the_draft_of_a_killed_process_makes_room_too(cache: Path) -> None:
    path = store(cache, 1, used_at=1000)
    draft = path.rename(path.with_name(f".draft-{'0' * 32}-{path.name}"))
    FactorCache(cache, limit_bytes=1).get(random_matrix(4, 4, 2), NAME)
    assert draft not in stored_files(cache)


def test_the_limit_on_disk_comes_from_the_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = store(cache, 1, used_at=1000)
    monkeypatch.setenv("CLIPSWEEP_FACTORS_GIB", "1e-9")
    FactorCache(cache).get(random_matrix(4, 4, 2), NAME)
    assert old not in stored_files(cache)


@pytest.mark.parametrize("value", ["0", "-5", "nan", "inf", "50GiB"])
def test_a_limit_that_is_no_positive_number_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CLIPSWEEP_FACTORS_GIB", value)
    with pytest.raises(SpecError, match=rf"CLIPSWEEP_FACTORS_GIB is '{value}'; expected a positive number.* unset it"):
        FactorCache(cache)


def test_a_full_disk_is_reported_and_the_factors_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    weight = random_matrix(5, 5)
    torch.testing.assert_close(FactorCache(cache).get(weight, NAME).low_rank(5), weight)
    assert f"factors of {NAME} are used but cannot be kept" in caplog.text
    assert "No space left" in caplog.text
    assert not stored_files(cache)


def test_a_disk_without_room_for_a_lock_is_reported_and_the_factors_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(factors_module, "FileLock", refuse)
    weight = random_matrix(5, 5)
    torch.testing.assert_close(FactorCache(cache).get(weight, NAME).low_rank(5), weight)
    assert f"no lock for the factors of {NAME}" in caplog.text


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
