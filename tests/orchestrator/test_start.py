"""What each command loads: none waits for libraries that it does not use."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ENGINE = {"torch", "transformers", "ray"}
LIBRARIES = ENGINE | {
    *("datasets", "jinja2", "numpy", "optuna", "pandas", "plotly", "pyarrow", "pydantic", "scipy", "sqlalchemy"),
}
COMMAND = """
import sys
from clipsweep.orchestrator.cli import app

try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level names that a fresh Python has loaded after some code."""
    told = 'print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)'
    command = [sys.executable, "-c", f"import sys\n{code}\n{told}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_library_of_ours(option: str) -> None:
    assert not loaded_by(COMMAND, option) & LIBRARIES


@pytest.mark.parametrize(
    ("command", "used"),
    [
        ("status", {"numpy", "pyarrow", "pydantic"}),
        ("results", {"numpy", "pyarrow", "pydantic"}),
        ("best", {"numpy", "pyarrow", "pydantic"}),
        ("list", {"numpy", "pyarrow", "pydantic"}),
    ],
)
def test_a_question_about_a_study_loads_what_answers_it(command: str, used: set[str], finished_study: Path) -> None:
    assert loaded_by(COMMAND, command, str(finished_study)) & LIBRARIES <= used


def test_a_study_file_is_begun_and_described_without_torch_and_ray(tmp_path: Path) -> None:
    assert not loaded_by(COMMAND, "init", str(tmp_path / "s.yaml")) & ENGINE
    assert not loaded_by(COMMAND, "schema") & ENGINE


@pytest.mark.parametrize("mistake", ["space.clip_rates=9.5", "space.shot=4", "search.driver=bayse"])
def test_a_mistake_in_a_study_is_told_before_torch_and_ray_are_loaded(mistake: str, tmp_path: Path) -> None:
    refused = COMMAND.replace("assert not end.code, end.code", "assert end.code == 2, end.code")
    code = f"import os; os.chdir({str(tmp_path)!r})\n{refused}"
    assert not loaded_by(code, "run", "quickstart", "--set", mistake) & ENGINE


def test_a_report_is_written_without_torch_and_ray(finished_study: Path, tmp_path: Path) -> None:
    loaded = loaded_by(COMMAND, "report", str(finished_study), "--out", str(tmp_path / "r.html"))
    assert not loaded & ENGINE


def test_importing_clipsweep_loads_no_library(tmp_path: Path) -> None:
    assert not loaded_by("import clipsweep; dir(clipsweep)") & (LIBRARIES | {"rich", "typer", "yaml"})


def test_a_study_is_checked_without_torch_and_ray() -> None:
    assert not loaded_by("import clipsweep; clipsweep.load_study('quickstart')") & ENGINE
