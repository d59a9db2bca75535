"""Damage to a file of a study's folder: what can lie in its place instead."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NOISE = bytes(range(256)) * 3
Damage = Callable[[Path], object]


def put(content: bytes) -> Damage:
    """Other content in a file's place."""

    def damage(path: Path) -> None:
        clear(path)
        path.write_bytes(content)

    return damage


def clear(path: Path) -> None:
    """Remove what is there, be it a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def tear(path: Path) -> None:
    """Keep the first half of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def become_folder(path: Path) -> None:
    """Put a folder in a file's place."""
    clear(path)
    path.mkdir()


def become_dead_link(path: Path) -> None:
    """Put a link that leads nowhere in a file's place."""
    clear(path)
    path.symlink_to("/nowhere/there")


OF_ANY_FILE: Mapping[str, Damage] = {
    "empty": put(b""),
    "torn": tear,
    "noise": put(NOISE),
    "folder": become_folder,
    "dead link": become_dead_link,
    "a list": put(b"[1, 2]"),
    "nested": put(b'{"a":' * 20000),
}


def change_rows(**columns: object) -> Damage:
    """Write a part anew with other values in some columns, the same in each row; None for null."""

    def damage(path: Path) -> None:
        table = pq.ParquetFile(path).read()
        for name, value in columns.items():
            number, field = table.column_names.index(name), table.schema.field(name)
            table = table.set_column(number, field, pa.array([value] * table.num_rows, field.type))
        pq.write_table(table, path)

    return damage


def write_foreign(table: pa.Table, metadata: dict[bytes, bytes] | None = None) -> Damage:
    """Put another table in a part's place."""
    return lambda path: pq.write_table(table.replace_schema_metadata(metadata), path)


def become_text(name: str) -> Damage:
    """Make a column of a part text."""

    def damage(path: Path) -> None:
        table = pq.ParquetFile(path).read()
        values = pa.array(["much"] * table.num_rows)
        pq.write_table(table.set_column(table.column_names.index(name), name, values), path)

    return damage


OF_A_PART: Mapping[str, tuple[Damage, str]] = {
    "other columns": (write_foreign(pa.table({"a": [1]})), "it has no column schema_version"),
    "no rows, no columns": (write_foreign(pa.table({})), "it has no column schema_version"),
    "a version that is text": (write_foreign(pa.table({"schema_version": ["x"]})), "its schema_version is 'x'"),
    "a version that is null": (change_rows(schema_version=None), "its schema_version is None"),
    "a version of tomorrow": (change_rows(schema_version=99), "has schema version 99; this clipsweep reads up to"),
    "only a version": (write_foreign(pa.table({"schema_version": [1]})), "with no "),
    "another type": (become_text("shots"), "has a column of another type"),
    "a note that is torn": (
        lambda path: write_foreign(pq.ParquetFile(path).read(), {b"clipsweep.replaces": b"["})(path),
        "its note clipsweep.replaces is not JSON",
    ),
    "a note of something else": (
        lambda path: write_foreign(pq.ParquetFile(path).read(), {b"clipsweep.replaces": b"3"})(path),
        "its note clipsweep.replaces is no list of names",
    ),
    "no trial": (change_rows(trial_id=None), "with no trial_id"),
    "no end": (change_rows(finished_at=None), "with no finished_at"),
    "no clips": (change_rows(clips=None), "with no clips"),
    "an unknown state": (change_rows(state="paused"), "with an unknown state"),
    "an accuracy above 1": (change_rows(accuracy=7.0), "with accuracy outside 0 to 1"),
    "an accuracy that is no number": (change_rows(accuracy=float("nan")), "with accuracy outside 0 to 1"),
    "no accuracy": (change_rows(accuracy=None), "with a state that has scores, and none of them"),
    "negative examples": (change_rows(n_examples=-3), "with n_examples outside 0 to inf"),
    "more examples than outcomes": (change_rows(n_examples=999), "with outcomes of another number of examples"),
    "an attempt before the first": (change_rows(attempt=0), "with attempt outside 1 to inf"),
    "negative seconds": (change_rows(seconds=-1.0), "with seconds outside 0 to"),
    "a clip without a layer": (
        change_rows(clips=[{"layer": None, "module": "mlp", "clip_rate": 0.5, "kind": "svd"}]),
        "with a clip that there cannot be",
    ),
    "a clip of more than all": (
        change_rows(clips=[{"layer": 1, "module": "mlp", "clip_rate": 9.5, "kind": "svd"}]),
        "with a clip that there cannot be",
    ),
    "another model": (change_rows(model_fingerprint="feed"), "model_fingerprint 'feed' there, '"),
    "another task": (change_rows(task_fingerprint="feed"), "task_fingerprint 'feed' there, '"),
}
