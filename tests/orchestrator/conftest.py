"""Fixtures: the small study as a file, and run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import runner

MakeStudy = Callable[..., dict[str, Any]]


@pytest.fixture
def study_file(make_study: MakeStudy, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    return path


@pytest.fixture
def folder(study_file: Path, tmp_path: Path) -> Path:
    """The folder of the tiny study, run."""
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "done")])
    assert result.exit_code == 0, result.output
    return tmp_path / "done"
