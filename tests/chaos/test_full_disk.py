"""The short form of ``python -m tests.chaos.full_disk``."""

import random
from pathlib import Path

import pytest

from tests.chaos.full_disk import Bench, NoMountError, small_disk


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("full-disk")
    try:
        with small_disk(root / "tried"):
            return Bench(root)
    except NoMountError as error:
        pytest.skip(f"no file system can be mounted here: {error}")


@pytest.mark.slow
def test_a_study_whose_disk_fills_up_says_so_in_one_sentence_and_resumes(bench: Bench, tmp_path: Path) -> None:
    assert bench.fill_study_disk(tmp_path / "disk", random.Random(3)).faults == ()
