import os
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.read_folder import read_folder
from clipsweep.trials.rows.split_rows import Origin


def put(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"train-0000{name[1:]}-of-0000{len(files)}.csv").write_text(content)
    return folder


def test_rows_of_shards_follow_each_other_by_the_names_of_their_columns(tmp_path: Path) -> None:
    rows = read_folder(put(tmp_path, _0="v,label\na,pos\n", _1="label,v\nneg,b\n"), "train").rows
    assert [(row["v"], row["label"]) for row in rows] == [("a", "pos"), ("b", "neg")]


def test_a_row_of_a_split_is_found_in_its_file(tmp_path: Path) -> None:
    held = read_folder(put(tmp_path, _0="v\na\nb\n", _1="v\nc\n\nd\n"), "train")
    assert held.where(1).endswith("train-00000-of-00002.csv, line 3")
    assert held.where(3).endswith("train-00001-of-00002.csv, line 4")


def test_what_was_read_is_told_with_its_rows(tmp_path: Path) -> None:
    names = [f"train-0000{number}-of-00002.csv" for number in range(2)]
    held = read_folder(put(tmp_path, _0="v\na\nb\n", _1="v\nc\n"), "train")
    assert held.origins == [
        Origin(source=str(tmp_path), split="train", name=name, rows=rows)
        for name, rows in zip(names, (2, 1), strict=True)
    ]


def test_shards_that_differ_in_their_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"differ in their columns \(label, labels\); expected the same in all files"):
        read_folder(put(tmp_path, _0="v,label\na,pos\n", _1="v,labels\nb,neg\n"), "train")


def test_a_column_that_a_row_of_json_lacks_is_none(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"v": "a"}\n{"v": "b", "label": "pos"}\n')
    assert [row["label"] for row in read_folder(tmp_path, "train").rows] == [None, "pos"]


def test_rows_are_those_of_the_file_even_under_an_equal_time(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    texts = []
    for text in ("old", "new"):
        path.write_text(f"v\n{text}\n")
        os.utime(path, (315532800, 315532800))
        texts.append(read_folder(tmp_path, "train").rows[0]["v"])
    assert texts == ["old", "new"]


def test_a_folder_that_cannot_be_listed_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="reading .*nowhere failed: no such file or folder"):
        read_folder(tmp_path / "nowhere", "train")
