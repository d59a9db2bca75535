"""The folders' rules: who may import whom, and where each heavy dependency lives."""

import ast
import subprocess
import sys
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
LIGHT = (  # of trials: what reading a study needs
    "base.errors",
    "base.files",
    "base.hub",
    "base.versions",
    "scores.judge",
    "scores.tally",
    "spec.clip",
    "spec.kinds",
    "spec.ladder",
    "spec.modules",
    "spec.resolved",
    "spec.result",
    "spec.shape",
    "spec.start",
    "spec.trial",
    "models.card",
    "models.describe",
    "models.facts",
    "models.find",
    "models.settings",
    "clips.identity",
    "clips.kind",
    "clips.resolve",
    "clips.spectrum",
    "clips.svd",
    "engine.cost",
    "engine.microbatches",
    "tasks.definition",
    "tasks.encode",
    "tasks.load",
    "tasks.prompts",
    "tasks.release",
    "tasks.settings",
    "tasks.table",
)
HEAVY = {"torch", "transformers", "datasets", "ray"}


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


@pytest.mark.parametrize("module", LIGHT)
def test_a_module_of_a_command_that_only_reads_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, clipsweep.trials.{module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.split() == []
