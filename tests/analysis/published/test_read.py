"""The published numbers that come with the package."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clipsweep
from clipsweep.analysis.published.make import make_table
from clipsweep.analysis.published.read import FILE, published_table
from clipsweep.trials.tasks.table import TASKS
from tests.conftest import SHARED

needs_data = pytest.mark.skipif(not (SHARED / "data" / "published_test.csv").is_file(), reason="no shared/data")


def csv_rows(name: str) -> list[dict[str, str]]:
    with (SHARED / "data" / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@needs_data
def test_the_file_that_ships_is_what_the_script_makes_of_the_csv_files() -> None:
    assert published_table().equals(make_table(SHARED / "data"), check_metadata=True)


@needs_data
def test_every_published_number_is_there_as_published() -> None:
    frame = clipsweep.load_published()
    curves = frame[(frame["source"] == "released code") & (frame["split"] == "validation")]
    assert curves["score"].tolist() == [
        float(row["validation_score"]) for row in csv_rows("published_validation_curves.csv")
    ]
    tests = frame[(frame["source"] == "released code") & (frame["split"] == "test")]
    pairs = [(float(row["test_baseline"]), float(row["test_clipped"])) for row in csv_rows("published_test.csv")]
    assert list(zip(tests["baseline"], tests["score"], strict=True)) == pairs
    printed = frame[frame["source"].str.startswith("table")]
    lines = csv_rows("paper_tables.csv")
    assert printed["score"].tolist() == [float(row["clipped"]) for row in lines]
    assert printed["source"].tolist() == [f"table {row['table']}" for row in lines]


def test_the_frame_speaks_our_names_and_scales() -> None:
    frame = clipsweep.load_published()
    assert len(frame) == 36 * 8 + 36 + 28
    assert set(frame["task"]) == {"sst2", "agnews", "emoc", "mrpc", "rte", "cb", "copa"} <= TASKS.keys()
    assert set(frame["study"]) == {"published"}
    assert frame["clip_rate"].between(0, 0.995).all()
    assert (frame["layer"] < frame["n_layers"]).all()
    [printed] = frame[
        (frame["source"] == "table 2") & (frame["model"] == "GPT-J-6B") & (frame["module"] == "mlp")
    ].to_dict("records")
    assert (printed["layer"], printed["clip_rate"], printed["baseline"], printed["score"]) == (26, 0.95, 0.7527, 0.8437)


def test_the_baseline_of_a_curve_is_its_own_score_at_rate_0() -> None:
    frame = clipsweep.load_published()
    curve = frame[(frame["split"] == "validation") & (frame["clip_rate"] == 0)]
    assert len(curve) == 36
    assert (curve["score"] == curve["baseline"]).all()


def test_the_file_says_where_it_is_from_and_under_which_licence() -> None:
    schema = pq.read_schema(FILE)
    assert schema.metadata is not None
    assert b"2406.03768" in schema.metadata[b"source"]
    assert schema.metadata[b"license"].startswith(b"MIT")
    assert all(_described(field) for field in schema)


def _described(field: pa.Field[Any]) -> bool:
    return bool((field.metadata or {}).get(b"description"))


def test_making_the_file_of_a_folder_without_the_csv_files_names_the_first(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="published_validation_curves"):
        make_table(tmp_path)
