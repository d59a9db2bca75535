"""What is a folder, what is a hub name; rows of the hub come from a dataset that is made here."""

from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, Features, Sequence, Value

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.split_rows import Origin
from clipsweep.trials.rows.values import text_of
from clipsweep.trials.tasks.definition import Source
from clipsweep.trials.tasks.read_rows import read_rows


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows under any name."""
    columns = {"text": ["a", None], "score": [0.1, 0.2], "raw": ["caf\u00e9".encode(), b"\xff"], "parts": [[0.1], []]}
    kinds = {"text": Value("string"), "score": Value("float32"), "raw": Value("binary")}
    held = Dataset.from_dict(columns, Features({**kinds, "parts": Sequence(Value("float32"))}))
    monkeypatch.setattr("datasets.load_dataset", lambda **request: held)


def test_rows_of_the_hub_have_the_values_of_its_parquet(hub: None, cache: Path) -> None:
    first, second = read_rows(Source(path="us/rows"), "train", cache).rows
    assert [text_of(value, "v") for value in (first["text"], first["score"], first["raw"])] == ["a", "0.1", "café"]
    assert (str(first["parts"][0]), second["text"], second["parts"]) == ("0.1", None, [])


def test_rows_of_the_hub_are_told_with_configuration_and_revision(hub: None, cache: Path) -> None:
    held = read_rows(Source(path="us/rows", config="small", revision="v2"), "train", cache)
    source = "us/rows, configuration small, revision v2"
    assert held.origins == [Origin(source=source, split="train", name="train", rows=2)]
    assert held.where(1) == f"{source}, split 'train', row 1"


def test_columns_of_the_hub_that_are_not_asked_for_are_not_read(hub: None, cache: Path) -> None:
    rows = read_rows(Source(path="us/rows", columns=("text", "score")), "train", cache).rows
    assert [sorted(row) for row in rows] == [["score", "text"]] * 2


def test_a_column_that_the_hub_has_not_is_refused(hub: None, cache: Path) -> None:
    with pytest.raises(TaskError, match="rows of 'us/rows', split 'train', cannot be read: .*verdict"):
        read_rows(Source(path="us/rows", columns=("verdict",)), "train", cache)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that datasets itself reads, under any name of the hub."""
    load, folder = datasets.load_dataset, tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setattr("datasets.load_dataset", lambda **request: load(**{**request, "path": str(folder)}))
    return folder


def test_csv_of_the_hub_is_text_as_written(repository: Path, cache: Path) -> None:
    (repository / "train.csv").write_text("v,label\n007,NA\n1.50,\n")
    rows = read_rows(Source(path="us/rows"), "train", cache).rows
    assert rows == [{"v": "007", "label": "NA"}, {"v": "1.50", "label": ""}]


def test_times_that_datasets_guessed_in_json_of_the_hub_are_never_shown(repository: Path, cache: Path) -> None:
    (repository / "train.jsonl").write_text('{"v": "a", "day": "2024-01-20", "at": {"t": "2024-01-20T10:00:00Z"}}\n')
    [row] = read_rows(Source(path="us/rows"), "train", cache).rows
    assert text_of(row["v"], "v") == "a"
    for value in (row["day"], row["at"]["t"]):
        with pytest.raises(TaskError, match="a time that datasets made of a text, 2024-01-20 .* Download"):
            text_of(value, "v")
        with pytest.raises(TaskError, match="a time that datasets made of a text"):
            f"{value}"  # as a user's function may do


def test_a_file_of_the_hub_that_cannot_be_read_leaks_no_line_of_a_log(
    repository: Path, cache: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (repository / "train.jsonl").write_text('{"v": "a"}\n{"v": "cut')
    with pytest.raises(TaskError, match="rows of 'us/rows', split 'train', cannot be read"):
        read_rows(Source(path="us/rows"), "train", cache)
    assert (caplog.text, capfd.readouterr().err) == ("", "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"path": "{folder}/train.csv"}, "is '.*train.csv', a file; expected the folder that holds it"),
        ({"path": "data/train.csv"}, "is 'data/train.csv': no such folder; expected a folder of data files"),
        ({"path": "./nowhere"}, "is './nowhere': no such folder"),
        ({"path": "x" * 5000}, "looking for task.path 'x+' failed: the name is too long"),
        ({"path": "~no-such-user/rows"}, "there is no such user"),
        ({"path": "{folder}", "config": "small"}, "is a folder, which has no configuration or revision .'small'."),
        ({"path": "{folder}", "revision": "v2"}, "is a folder, which has no configuration or revision .'v2'."),
    ],
)
def test_a_place_that_holds_no_rows_is_refused(source: dict[str, str], words: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\nx,0\n")
    stated: dict[str, Any] = {key: value.format(folder=tmp_path) for key, value in source.items()}
    with pytest.raises(TaskError, match=words):
        read_rows(Source(**stated), "train", cache)
