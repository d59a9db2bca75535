"""Damaged files in a study's folder: each is named, with the mend, and no traceback is shown."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app

DAMAGED = {
    "study.yaml": [b"", b"- a\n", b"name: [", b"name: a\n", b"\xff\xfe", b"nmae: a\n"],
    "identity.json": [b"", b"{", b"[]", b"{}", b'{"card": 3}', b"\xff"],
    "end.json": [b"", b"[1]", b'{"stopped": 3}'],
}


@pytest.fixture
def folder(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of a finished study."""
    return Path(shutil.copytree(finished_study, tmp_path / "copy"))


def refusal_of(*arguments: str) -> str:
    """What a command says that ends with 1."""
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert len(result.stderr) < 700
    return result.stderr


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, held in DAMAGED.items() for each in held])
def test_a_damaged_file_is_named_with_the_mend(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    said = refusal_of("status", str(folder))
    assert str(folder / name) in said
    assert any(
        word in said for word in ("run the study again", "Run the study again", "is not a study of this clipsweep")
    )


@pytest.mark.parametrize("command", ["status", "best", "results", "report"])
def test_a_torn_parquet_file_is_named(folder: Path, command: str) -> None:
    part = min((folder / "trials").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-50])
    assert f"{part} is not a whole Parquet file" in refusal_of(command, str(folder))


def test_a_parquet_file_of_something_else_is_named(folder: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), folder / "trials" / "part-x.parquet")
    assert "part-x.parquet holds no rows of clipsweep" in refusal_of("results", str(folder))


def test_a_log_that_is_torn_within_a_character_is_shown(folder: Path) -> None:
    (folder / "log.txt").write_bytes(b"2026-01-01 a warning\n\xe2\x96")
    assert "a warning" in CliRunner().invoke(app, ["status", str(folder)]).stdout


def test_rows_that_cannot_be_read_are_not_taken_for_none(folder: Path) -> None:
    shutil.rmtree(folder / "trials")
    (folder / "trials").touch()
    assert "trials failed: a part of the path is a file, not a folder" in refusal_of("status", str(folder))
