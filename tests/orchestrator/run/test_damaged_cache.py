"""Damage to the cache: it is mended by itself, or refused in one sentence; rows are what they would be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.trials.base import files
from clipsweep.trials.base.os_words import CACHE_FOLDERS
from tests.orchestrator.folder.damage import OF_ANY_FILE, become_dead_link
from tests.orchestrator.stored import latest_rows

MakeStudy = Callable[..., dict[str, Any]]
FILES = ("hashes/*.json", "factors/*/*.safetensors", "prompts/*.json", "shapes/*.json", "fits/*.json")


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, str]]:
    """Run the tiny study anew, its files hashed as large ones are: exit code and standard error."""
    monkeypatch.setattr(files, "READ_WHOLE_BYTES", 100_000)
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(make_study(task={"test_size": 0}, space={"layers": [0], "clip_rates": [0, 0.5]})))

    def run_it() -> tuple[int, str]:
        shutil.rmtree(tmp_path / "s", ignore_errors=True)
        result = CliRunner().invoke(app, ["run", str(path), "--dir", str(tmp_path / "s")])
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result.exit_code, result.stderr

    return run_it


def scores(folder: Path) -> dict[str, object]:
    return {key: (row.accuracy, row.gold_logprob) for key, row in latest_rows(folder).items()}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", FILES)
def test_a_damaged_file_of_the_cache_is_mended(
    run: Callable[[], tuple[int, str]], cache: Path, tmp_path: Path, pattern: str
) -> None:
    assert run()[0] == 0
    before = scores(tmp_path / "s")
    assert list(cache.glob(pattern))
    for damage in ("torn", "a list", "folder"):
        for path in cache.glob(pattern):
            OF_ANY_FILE[damage](path)
        code, said = run()
        assert code == 0, (damage, said)
        assert scores(tmp_path / "s") == before


@pytest.mark.parametrize("name", CACHE_FOLDERS)
def test_a_file_where_a_folder_of_the_cache_belongs_is_refused(
    run: Callable[[], tuple[int, str]], cache: Path, name: str
) -> None:
    cache.mkdir()
    for put in (Path.touch, become_dead_link):
        put(cache / name)
        code, said = run()
        assert code == 2
        assert f"{cache / name} is no folder; expected one of the cache" in said


def test_a_cache_that_is_a_file_is_refused(run: Callable[[], tuple[int, str]], cache: Path) -> None:
    cache.touch()
    code, said = run()
    assert code == 2
    assert f"making the cache folder (CLIPSWEEP_CACHE), {cache}, failed: a file of that name is in the way" in said
