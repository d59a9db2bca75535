from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.split_files import find_split

SHARDS = [f"train-0000{number}-of-00003.jsonl" for number in range(3)]
HASHED = [f"train-0000{number}-of-00002-0a1b2c3d4e5f678{number}.parquet" for number in range(2)]


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("rows")
    return folder


def found(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_split(folder, "train")]


@pytest.mark.parametrize(
    "names",
    [
        ["train.jsonl"],
        ["train.json"],
        ["train.csv"],
        ["train.parquet"],
        SHARDS,
        HASHED,
        ["train/any.jsonl"],
        [f"train/{name}" for name in SHARDS],
        ["train/0000.parquet", "train/0001.parquet"],
        ["train/data-00000-of-00001.csv"],
    ],
)
def test_a_file_a_set_of_shards_or_a_folder_is_a_split(tmp_path: Path, names: list[str]) -> None:
    assert found(put(tmp_path, *names)) == names


@pytest.mark.parametrize(
    "name",
    [
        "train.old.jsonl",
        "train-small.jsonl",
        "train_v2.jsonl",
        "train.1.jsonl",
        "train.jsonl.bak",
        "train.jsonl~",
        "trainer.jsonl",
        "train-small-00000-of-00002.jsonl",
        "old-train.jsonl",
        "Train.csv",
        ".train.jsonl",
        "train/notes.txt",
        "other/train.jsonl",
        "train.txt",
    ],
)
def test_what_only_looks_alike_is_not_read(tmp_path: Path, name: str) -> None:
    assert found(put(tmp_path, "train.jsonl", name)) == ["train.jsonl"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([SHARDS[0], SHARDS[2]], "has train-00000.*, but not number 1 of them"),
        (["train-00001-of-9999999999.csv"], "but not number 0, 2, 3, 4, 5, 6 of them"),
        (SHARDS[:2], "but not number 2 of them"),
        (SHARDS[1:], "but not number 0 of them"),
        ([*SHARDS, *HASHED], "in several formats"),
        ([*SHARDS, "train-00000-of-00001.jsonl"], "are of 1 and of 3 .*; expected one set"),
        ([*SHARDS, "train-00003-of-00003.jsonl"], "expected the numbers 0 to 2, each once"),
        ([*SHARDS, "train-00001-of-00003-0a1b2c3d.jsonl"], "expected the numbers 0 to 2, each once"),
        (["train.jsonl", *SHARDS], "is there more than once"),
        (["train.jsonl", "train/part.jsonl"], r"is there more than once \(train.jsonl, train/part.jsonl\)"),
        ([*SHARDS, "train/part.jsonl"], "is there more than once"),
        (["train.jsonl", "train.csv"], r"in several formats \(train.csv, train.jsonl\)"),
        (["train/a.jsonl", "train/b.jsonl"], "train holds a.jsonl, b.jsonl; expected one file of rows, or a whole set"),
        (["train/train.jsonl", "train/train.old.jsonl"], "expected one file of rows"),
        (["train/a.jsonl", "train/year=1/b.jsonl"], "holds a.jsonl, year=1/b.jsonl; expected one file of rows"),
        (["train/0000.parquet", "train/0002.parquet"], "but not number 1 of them"),
        (["train/0001.parquet"], "but not number 0 of them"),
        (["train/0000.parquet", "train/0001.parquet.incomplete"], "expected one file of rows"),
        (["train/data-00000-of-00003.csv"], "but not number 1, 2 of them"),
        (["train.parquet/part-0.parquet"], "train.parquet is a folder; expected a file with rows"),
    ],
)
def test_a_doubtful_set_is_refused_with_its_files(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        find_split(put(tmp_path, *names), "train")


def test_a_link_is_followed_and_one_to_nowhere_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "rows.jsonl")
    (tmp_path / "train.jsonl").symlink_to("rows.jsonl")
    assert found(tmp_path) == ["train.jsonl"]
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(TaskError, match="train.jsonl is no file, or a link to one that is not there"):
        find_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train.old.jsonl", "expected train.jsonl, .json, .csv or .parquet, or shards .* Not read: train.old.jsonl"),
        ("train.jsonl.gz", "Not read: train.jsonl.gz"),
        ("Train.csv", "Not read: Train.csv"),
        ("data/train-00000-of-00001.parquet", "Give the folder .*/data, which has them"),
        ("sst2/train/0000.parquet", "Give the folder .*/sst2, which has them"),
    ],
)
def test_where_nothing_fits_the_names_that_would_are_told(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(TaskError, match=f"has no rows of split 'train' .*{words}"):
        find_split(put(tmp_path, name), "train")


def test_the_name_of_a_split_is_no_pattern(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"has no rows of split 'tr\*'"):
        find_split(put(tmp_path, "train.jsonl"), "tr*")
