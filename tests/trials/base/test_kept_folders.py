import shutil
from pathlib import Path

from clipsweep.trials.base.kept_folders import KeptFolders


def test_a_folder_that_is_removed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with KeptFolders([tmp_path, tmp_path / "a"]) as kept:
        assert kept.gone() is None
        (tmp_path / "a").rmdir()
        assert kept.gone() == tmp_path / "a"


def test_a_folder_that_is_made_anew_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with KeptFolders([tmp_path / "a"]) as kept:
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "a").mkdir()
        assert kept.gone() == tmp_path / "a"


def test_a_folder_that_is_renamed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with KeptFolders([tmp_path / "a"]) as kept:
        (tmp_path / "a").rename(tmp_path / "b")
        assert kept.gone() == tmp_path / "a"


def test_a_folder_that_is_made_later_is_held_from_then_on(tmp_path: Path) -> None:
    with KeptFolders([tmp_path / "a"]) as kept:
        assert kept.gone() is None
        (tmp_path / "a").mkdir()
        assert kept.gone() is None
        (tmp_path / "a").rmdir()
        assert kept.gone() == tmp_path / "a"
