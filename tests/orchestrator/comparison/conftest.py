"""Fixtures: real small studies to compare with each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.conftest import tiny_study

RunStudy = Callable[..., Path]


@pytest.fixture(scope="session")
def run_tiny(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> RunStudy:
    """Run the small study with other sections, in a folder of that name."""
    place = tmp_path_factory.mktemp("compared")

    def run(name: str, **sections: dict[str, Any]) -> Path:
        study = check_study(tiny_study(tiny_gptj, **sections))
        run_study(study, place / name, place / "cache", Console(quiet=True))
        return place / name

    return run


@pytest.fixture(scope="session")
def searched(run_tiny: RunStudy) -> Path:
    """The small study searched by bayes: other points of the same rows."""
    return run_tiny("searched", search={"driver": "bayes", "n_trials": 4})


@pytest.fixture(scope="session")
def of_other_rows(run_tiny: RunStudy) -> Path:
    """The small study on other rows, with another module."""
    return run_tiny("others", task={"seed": 1}, space={"modules": ["attn"]})
