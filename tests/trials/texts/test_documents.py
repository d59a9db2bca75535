"""Documents of files, folders and rows; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.settings import TextSettings, TextSplits
from clipsweep.trials.texts.documents import Documents, read_documents
from tests.trials.texts.helpers import write_texts

TEXTS = ["one\n\ntwo ", "three"]


def read(path: Path | str, split: str | None = None, **keys: Any) -> Documents:
    return read_documents(TextSettings(path=str(path), **keys), split, Path("cache"))


def texts(path: Path | str, split: str | None = None, **keys: Any) -> list[str]:
    return [each.text for each in read(path, split, **keys).held]


def test_a_file_of_plain_text_is_one_document_blank_lines_and_all(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXTS[0])
    assert texts(tmp_path / "book.txt") == [TEXTS[0]]


def test_a_row_of_any_format_is_a_document_as_it_is_written(tmp_path: Path) -> None:
    write_texts(tmp_path / "rows.jsonl", TEXTS)
    (tmp_path / "rows.json").write_text(json.dumps([{"text": text} for text in TEXTS]))
    (tmp_path / "rows.csv").write_text('text\n"one\n\ntwo "\nthree\n')
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), tmp_path / "rows.parquet")
    for ending in ("jsonl", "json", "csv", "parquet"):
        assert texts(tmp_path / f"rows.{ending}") == TEXTS


def test_rows_without_text_are_no_documents_and_places_count_them(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": ""}\n{"text": "a"}\n{"text": null}\n{"other": 1}\n{"text": "b"}\n')
    held = read(tmp_path / "rows.jsonl").held
    assert [(each.text, each.place[1]) for each in held] == [("a", 1), ("b", 4)]
    assert held[1].where == f"{tmp_path / 'rows.jsonl'}, line 5"


def test_every_file_of_plain_text_in_a_folder_is_a_document(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden.txt", "notes.md"):
        (tmp_path / name).write_text(name)
    assert texts(tmp_path) == ["a.txt", "b.txt"]
    assert [origin.name for origin in read(tmp_path).origins] == ["a.txt", "b.txt"]


def test_a_folder_with_train_is_read_by_its_splits(tmp_path: Path) -> None:
    write_texts(tmp_path / "train.jsonl", ["rows"])
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "0.txt").write_text("a file of a folder")
    (tmp_path / "dev.txt").write_text("a file")
    assert texts(tmp_path) == ["rows"]
    assert texts(tmp_path, "test") == ["a file of a folder"]
    assert texts(tmp_path, "dev") == ["a file"]


def test_another_column_can_be_named(tmp_path: Path) -> None:
    write_texts(tmp_path / "rows.jsonl", TEXTS, column="body")
    assert texts(tmp_path / "rows.jsonl", column="body") == TEXTS


def test_a_column_that_no_row_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write_texts(tmp_path / "rows.jsonl", TEXTS, column="body")
    with pytest.raises(TaskError, match=r"has no column 'text'; it has body\. Give task\.text\.column"):
        read(tmp_path / "rows.jsonl")


def test_a_value_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n{"text": ["b"]}\n')
    with pytest.raises(TaskError, match=r"rows\.jsonl, line 2: .*text"):
        read(tmp_path / "rows.jsonl")


def test_a_path_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"task\.text\.path is .*no such file or folder.*hub name"):
        read(tmp_path / "none.txt")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_text("x")
    with pytest.raises(TaskError, match=r"no known format; expected one that ends in \.txt, \.jsonl"):
        read(tmp_path / "book.pdf")


@pytest.mark.parametrize(
    ("key", "value"), [("config", "c"), ("revision", "main"), ("splits", TextSplits(validation="train"))]
)
def test_keys_without_effect_on_a_file_are_refused(key: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("x")
    with pytest.raises(TaskError, match=rf"a file, on which task\.text\.{key} has no effect\. Remove"):
        read(tmp_path / "book.txt", **{key: value})


def test_a_split_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_texts(tmp_path / "test.jsonl", ["rows"])
    (tmp_path / "test.txt").write_text("a file")
    with pytest.raises(TaskError, match=r"split 'test' of .* is there more than once \(test\.txt, test\.jsonl\)"):
        read(tmp_path, "test")


def test_a_folder_without_the_split_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(TaskError, match=r"no rows of split 'test' \(it holds a\.txt\)"):
        read(tmp_path, "test")


def test_a_file_whose_name_begins_like_a_split_is_a_document_like_others(tmp_path: Path) -> None:
    for name in ("trainspotting.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    assert texts(tmp_path) == ["a.txt", "trainspotting.txt"]


def test_what_the_hub_does_not_give_is_refused_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(
        TaskError, match=r"rows of 'nobody/nothing', split 'train', cannot be read.*Set task\.text\.path"
    ):
        read("nobody/nothing")
