import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json
from pyarrow import parquet

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.split_rows import Origin
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.task import Task
from tests.conftest import write_rows

EPISODES = TaskSettings(name="episodes", validation_size=30, test_size=40, seed=3)


def sst2(folder: Path, validation_size: int = 20, test_size: int | None = None) -> TaskSettings:
    return TaskSettings(name="sst2", path=str(folder), validation_size=validation_size, test_size=test_size)


def write_json_rows(table: pa.Table, path: Path) -> None:
    write_rows(path, table.to_pylist())


def texts(task: Task, split: str) -> set[str]:
    return {row.query for row in task.splits[split]}


def test_sst2_is_worded_as_in_table_1(sst2_folder: Path, cache: Path) -> None:
    write_rows(sst2_folder / "train.jsonl", [{"sentence": f" gem {n} ", "label": 1} for n in range(40)])
    row = load_task(sst2(sst2_folder), cache).splits["validation"][0]
    sentence = f"gem {row.row[1]}"
    assert row.query == row.alone == f"text: {sentence}\nsentiment:"
    assert row.demonstration == f"text: {sentence}\nsentiment: positive\n"


def test_no_text_is_in_two_splits(sst2_folder: Path, cache: Path) -> None:
    repeated = {"sentence": "seen twice", "label": 0}
    rows = [{"sentence": f"film {n}", "label": n % 2} for n in range(60)]
    write_rows(sst2_folder / "train.jsonl", [*rows, repeated, repeated])
    task = load_task(sst2(sst2_folder), cache)
    demonstrations = {row.query for row in task.demonstrations}
    assert all((demonstrations, texts(task, "validation")))
    assert not texts(task, "validation") & texts(task, "test")
    assert not demonstrations & (texts(task, "validation") | texts(task, "test"))
    assert "text: seen twice\nsentiment:" in texts(task, "test")
    assert task.dropped == {"demonstrations": 2, "validation": 2}


def test_the_split_depends_on_the_seed_and_on_nothing_else(cache: Path) -> None:
    again, other = load_task(EPISODES, cache), load_task(replace(EPISODES, seed=4), cache)
    assert load_task(EPISODES, cache).fingerprint == again.fingerprint != other.fingerprint


def test_a_validation_that_leaves_nothing_to_test_is_refused(sst2_folder: Path, cache: Path) -> None:
    with pytest.raises(TaskError, match="task 'sst2' has no rows left for the test.*Give task.validation_size"):
        load_task(sst2(sst2_folder, validation_size=46), cache)


def test_the_first_rows_of_validation_are_of_the_classes_in_their_usual_share(tmp_path: Path, cache: Path) -> None:
    rows = [{"sentence": f"film {n}", "label": int(n % 20 == 0)} for n in range(2000)]
    write_rows(tmp_path / "rare" / "train.jsonl", rows)
    validation = load_task(sst2(tmp_path / "rare", validation_size=1000), cache).splits["validation"]
    among_all = sum(row.gold for row in validation) / 10
    assert abs(sum(row.gold for row in validation[:100]) - among_all) <= 5


def test_a_test_size_of_zero_leaves_no_test_split(cache: Path) -> None:
    assert "test" not in load_task(replace(EPISODES, test_size=0), cache).splits


@pytest.mark.parametrize("extension", ["csv", "parquet", "jsonl"])
def test_rows_are_read_from_any_of_the_formats(sst2_folder: Path, tmp_path: Path, cache: Path, extension: str) -> None:
    table = arrow_json.read_json(sst2_folder / "train.jsonl")
    path = tmp_path / "other" / f"train.{extension}"
    path.parent.mkdir()
    writers: dict[str, Callable[[pa.Table, Path], None]] = {
        "csv": arrow_csv.write_csv,
        "parquet": parquet.write_table,
        "jsonl": write_json_rows,
    }
    writers[extension](table, path)
    original, same = (load_task(sst2(folder), cache) for folder in (sst2_folder, path.parent))
    assert original.fingerprint == same.fingerprint


def test_an_unknown_task_is_answered_with_the_nearest(cache: Path) -> None:
    with pytest.raises(TaskError, match="no task 'sst-2'.*Did you mean 'sst2'"):
        load_task(TaskSettings(name="sst-2"), cache)


def test_fewer_rows_than_asked_for_are_refused(sst2_folder: Path, cache: Path) -> None:
    with pytest.raises(TaskError, match="task.validation_size is 100, but task 'sst2' has 46 rows left for it"):
        load_task(sst2(sst2_folder, validation_size=100), cache)


def test_too_large_a_test_is_refused(sst2_folder: Path, cache: Path) -> None:
    with pytest.raises(TaskError, match="task.test_size is 100, but task 'sst2' has"):
        load_task(sst2(sst2_folder, test_size=100), cache)


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_validation_split_is_refused(sst2_folder: Path, cache: Path, size: int) -> None:
    with pytest.raises(TaskError, match=f"task.validation_size is {size}: an empty split; expected 1 or more"):
        load_task(sst2(sst2_folder, validation_size=size), cache)


def test_an_empty_file_is_refused(sst2_folder: Path, cache: Path) -> None:
    (sst2_folder / "train.jsonl").write_text("")
    with pytest.raises(TaskError, match="train.jsonl is empty"):
        load_task(sst2(sst2_folder), cache)


def test_a_folder_without_the_split_is_refused_with_what_it_holds(tmp_path: Path, cache: Path) -> None:
    write_rows(tmp_path / "rows" / "dev.jsonl", [{"sentence": "x", "label": 0}])
    with pytest.raises(TaskError, match=r"has no rows of split 'train' \(it holds dev.jsonl\)"):
        load_task(sst2(tmp_path / "rows"), cache)


def test_one_split_in_two_formats_is_refused(sst2_folder: Path, cache: Path) -> None:
    (sst2_folder / "train.csv").write_text("sentence,label\nx,0\n")
    with pytest.raises(TaskError, match="is there in several formats"):
        load_task(sst2(sst2_folder), cache)


def test_a_missing_folder_is_refused(cache: Path) -> None:
    with pytest.raises(TaskError, match="task.path is './nowhere': no such folder"):
        load_task(TaskSettings(name="sst2", path="./nowhere"), cache)


def test_a_hub_name_that_cannot_be_had_is_refused(cache: Path) -> None:
    with pytest.raises(TaskError, match="Set task.path to a folder with train.jsonl"):
        load_task(TaskSettings(name="sst2"), cache)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x", "label": 0}, "has no column 'sentence'; it has label, text"),
        ({"sentence": "x", "label": -1}, "row 0 of split 'train' has label '-1'; expected one of '0', '1'"),
        ({"sentence": "  ", "label": 1}, "row 0 of .* has nothing in column 'sentence'"),
    ],
)
def test_a_row_that_cannot_be_worded_is_refused(
    sst2_folder: Path, cache: Path, row: dict[str, object], words: str
) -> None:
    write_rows(sst2_folder / "train.jsonl", [row])
    with pytest.raises(TaskError, match=words):
        load_task(sst2(sst2_folder), cache)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train.csv", "sentence,label\nx,0\n\ny,\n", "train.csv, line 4: row 1 of split 'train' has no label"),
        ("train.csv", "sentence,label\nx,0\ny,2\n", "train.csv, line 3: row 1 of split 'train' has label '2'"),
        ("train.jsonl", '{"sentence": "x", "label": null}', "train.jsonl, line 1: row 0 of split 'train' has no label"),
        ("train.jsonl", '{"sentence": "x", "label": 0}\n{"sentence": "y"}', "train.jsonl, line 2: .* has no label"),
        ("train.jsonl", '{"sentence": ["x"], "label": 0}', "train.jsonl, line 1: .* column 'sentence' holds a list"),
        ("train.csv", "sentence, label\nx,0\n", "train.csv, line 2: .* no column 'label'; it has ' label', sentence"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_file_and_line(
    tmp_path: Path, cache: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TaskError, match=words):
        load_task(sst2(tmp_path), cache)


def test_what_was_read_is_told_and_is_no_part_of_the_fingerprint(sst2_folder: Path, cache: Path) -> None:
    task = load_task(sst2(sst2_folder), cache)
    assert task.origins == (Origin(source=str(sst2_folder), split="train", name="train.jsonl", rows=60),)
    assert replace(task, origins=()).fingerprint == task.fingerprint


def test_other_rows_under_the_same_time_are_another_task(sst2_folder: Path, cache: Path) -> None:
    fingerprints = set()
    for word in ("old", "new"):
        path = sst2_folder / "train.jsonl"
        write_rows(path, [{"sentence": f"{word} {n}", "label": n % 2} for n in range(60)])
        os.utime(path, (315532800, 315532800))
        fingerprints.add(load_task(sst2(sst2_folder), cache).fingerprint)
    assert len(fingerprints) == 2


def test_a_backup_beside_the_rows_changes_nothing(sst2_folder: Path, cache: Path) -> None:
    before = load_task(sst2(sst2_folder), cache)
    write_rows(sst2_folder / "train.old.jsonl", [{"sentence": f"old {n}", "label": n % 2} for n in range(60)])
    assert load_task(sst2(sst2_folder), cache) == before


def test_a_negative_seed_is_refused_where_the_release_shuffles(sst2_folder: Path, cache: Path) -> None:
    with pytest.raises(TaskError, match="task.seed is -1; expected 0 or more in variant release"):
        load_task(replace(sst2(sst2_folder), variant="release", seed=-1), cache)


def test_a_generated_task_takes_no_path(cache: Path) -> None:
    with pytest.raises(TaskError, match="task 'episodes' draws its rows; remove it"):
        load_task(replace(EPISODES, path="somewhere"), cache)
