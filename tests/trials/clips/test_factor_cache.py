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
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError, SpecError
from clipsweep.trials.clips import factor_cache, factor_files
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factors import Factors, compute_factors
from tests.trials.clips.test_factors import NAME, random_matrix


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name of every matrix that is factored from now on."""
    seen: list[str] = []

    def count(weight: Tensor, name: str) -> Factors:
        seen.append(name)
        return compute_factors(weight, name)

    monkeypatch.setattr(factor_cache, "compute_factors", count)
    return seen


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

    vars(factor_cache)["compute_factors"] = mark
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
    assert "have format None, not 2" in caplog.text
    assert len(counted) == 2


def test_a_file_that_vanishes_before_it_is_read_is_computed_again(
    cache: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def vanish(path: Path, **options: Any) -> Any:
        path.unlink(missing_ok=True)
        return safe_open(path, **options)

    FactorCache(cache).get(random_matrix(5, 5), NAME)
    monkeypatch.setattr(factor_files, "safe_open", vanish)
    FactorCache(cache).get(random_matrix(5, 5), NAME)
    assert len(counted) == 2
    assert not caplog.records


def test_a_file_that_vanishes_while_it_is_read_is_computed_again(
    cache: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = random_matrix(60, 90)
    FactorCache(cache).get(weight, NAME)
    read_storage = torch.UntypedStorage.from_file  # which opens the file once more, after its header was read

    def vanish(name: str, *args: Any, **options: Any) -> Any:
        Path(name).unlink()
        return read_storage(name, *args, **options)

    monkeypatch.setattr(torch.UntypedStorage, "from_file", vanish)
    FactorCache(cache).get(weight, NAME)
    assert counted == [NAME, NAME]


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
    monkeypatch.setattr(factor_cache, "hash_tensors", None)
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


def test_a_folder_that_cannot_be_listed_is_reported_and_the_factors_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(cache / "factors"))

    factors = FactorCache(cache)
    monkeypatch.setattr(os, "scandir", fail)
    assert factors.get(random_matrix(5, 5), NAME).s.shape == (5,)
    assert "no room is made for factors" in caplog.text


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


def test_a_full_disk_is_reported_once_and_the_factors_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    weight = random_matrix(5, 5)
    factors = FactorCache(cache)
    torch.testing.assert_close(factors.get(weight, NAME).low_rank(5), weight)
    factors.get(random_matrix(6, 6), "another")
    assert f"keeping the factors of {NAME} in " in caplog.text
    assert caplog.text.count("no space is left there") == 1
    assert not stored_files(cache)


def test_a_disk_without_room_for_a_lock_is_reported_and_the_factors_are_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(factor_files, "FileLock", refuse)
    weight = random_matrix(5, 5)
    torch.testing.assert_close(FactorCache(cache).get(weight, NAME).low_rank(5), weight)
    assert f"no lock for the factors of {NAME}" in caplog.text
