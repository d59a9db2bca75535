"""The folders' rules: who may import whom, and where each heavy dependency lives."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BELOW = {
    "trials": set(),
    "cluster": {"trials"},
    "analysis": {"trials"},
    "orchestrator": {"trials", "cluster", "analysis"},
}
ANALYSIS_MAY_USE = {
    "clipsweep.trials.spec.trial",
    "clipsweep.trials.base.errors",
    "clipsweep.trials.base.files",
    "clipsweep.trials.models.card",
    "clipsweep.trials.clips.spectrum",
}
HOMES = {
    "ray": {"cluster/ray_pool.py"},
    "datasets": {"trials/rows.py"},
    "pyarrow": {"analysis/table.py", "analysis/spectrum.py"},
    "plotly": {"analysis/figures.py", "analysis/report.py"},
    "typer": {"orchestrator/cli.py"},
    "optuna": {"orchestrator/optuna_study.py"},
    "pydantic": {"orchestrator/study.py"},
}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", BELOW)
def test_folder_imports_only_what_lies_below_it(folder: str) -> None:
    above = set(BELOW) - BELOW[folder] - {folder}
    wrong = [(path, name) for path in files_of(folder) for name in imports_of(path) if name.split(".")[0] in above]
    assert files_of(folder)
    assert wrong == []


def test_analysis_uses_only_value_types_of_trials() -> None:
    used = {name for path in files_of("analysis") for name in imports_of(path) if name.startswith("trials")}
    assert used <= ANALYSIS_MAY_USE


@pytest.mark.parametrize("package", HOMES)
def test_a_heavy_dependency_has_one_home(package: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in BELOW
        for path in files_of(folder)
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert users == HOMES[package]


def test_values_and_errors_load_without_torch() -> None:
    for module in ("values", "errors", "model_card", "files", "spectrum"):
        names = {name.split(".")[0] for name in imports_of(ROOT / "trials" / f"{module}.py")}
        assert not names & {"torch", "transformers", "numpy"}
