"""The one import name: what the wheel holds, and that folders of the user's with our names do no harm."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.analysis.store.table import ResultsTable
from clipsweep.trials.base.versions import __version__

ROOT = Path(__file__).parent.parent
FOLDERS = ("trials", "cluster", "analysis", "orchestrator")
MakeStudy = Callable[..., dict[str, Any]]


def tracked_files() -> list[Path]:
    """What git has, and what it would take; git is asked, as a working tree holds caches and builds besides."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [Path(name) for name in listed.split("\0") if name]
    return [path for path in paths if (ROOT / path).exists()]


def run_python(*arguments: str, cwd: Path, **variables: str) -> str:
    """Standard output of a fresh Python that looks in ``cwd`` first, as ``python -m`` does."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, links left as links."""
    copy = tmp_path_factory.mktemp("checkout")
    for path in tracked_files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy / path, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a checkout of its own, as building leaves files behind."""
    source = tmp_path_factory.mktemp("source") / "clipsweep"
    shutil.copytree(checkout, source, symlinks=True)
    target = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target)]
    run_python(*command, str(source), cwd=target)
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder of packages with the wheel in it and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    run_python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working folder with modules of the user's that bear our folders' names, and that nobody may import."""
    folder = tmp_path / "mine"
    for name in ("trials", "cluster", "orchestrator"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('the module of the user was imported')\n")
    (folder / "analysis.py").write_text("raise RuntimeError('the module of the user was imported')\n")
    return folder


@pytest.mark.slow
def test_the_only_top_level_name_of_the_wheel_is_clipsweep(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name.split("/")[0] for name in opened.namelist()}
    assert names == {"clipsweep", f"clipsweep-{__version__}.dist-info"}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_no_link(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        entries = {entry.filename: entry.external_attr >> 16 for entry in opened.infolist()}
    ours = [path for path in tracked_files() if not (ROOT / path).is_dir()]  # a link of clipsweep/ is a folder
    expected = {f"clipsweep/{path}" for path in ours if path.parts[0] in FOLDERS}
    expected |= {str(path) for path in ours if path.parts[0] == "clipsweep"}
    assert {"clipsweep/py.typed", "clipsweep/trials/embedded/model.safetensors"} <= expected
    assert {name for name in entries if name.startswith("clipsweep/")} == expected
    assert not [name for name, mode in entries.items() if mode & 0o170000 == 0o120000]


@pytest.mark.slow
def test_the_installed_wheel_runs_as_a_module(installed: Path, tmp_path: Path) -> None:
    where = run_python("-c", "import clipsweep; print(clipsweep.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(where.strip()) == installed / "clipsweep" / "__init__.py"
    told = run_python("-m", "clipsweep", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert told.startswith(f"clipsweep {__version__}")


@pytest.mark.slow
def test_the_installed_wheel_finds_its_model_and_its_studies(installed: Path, tmp_path: Path) -> None:
    command = ["-m", "clipsweep", "run", "quickstart", "--dry-run", "--json"]
    variables = {"PYTHONPATH": str(installed), "CLIPSWEEP_CACHE": str(tmp_path / "cache")}
    assert json.loads(run_python(*command, cwd=tmp_path, **variables))["trials_to_run"] > 0


@pytest.mark.slow
def test_a_checkout_runs_as_a_module_without_being_installed(checkout: Path, tmp_path: Path) -> None:
    where = run_python("-c", "import clipsweep; print(clipsweep.__file__)", cwd=checkout)
    assert Path(where.strip()) == checkout / "clipsweep" / "__init__.py"
    command = ["-m", "clipsweep", "run", "quickstart", "--dry-run", "--json"]
    told = run_python(*command, cwd=checkout, CLIPSWEEP_CACHE=str(tmp_path / "cache"))
    assert json.loads(told)["trials_to_run"] > 0


@pytest.mark.slow
def test_the_api_is_imported_beside_modules_that_bear_our_folders_names(hostile: Path) -> None:
    code = "import clipsweep; print(clipsweep.run.__module__, clipsweep.Clip.__module__)"
    modules = run_python("-c", code, cwd=hostile).split()
    assert [name.partition(".")[0] for name in modules] == ["clipsweep", "clipsweep"]


@pytest.mark.ray
def test_two_replicas_run_a_study_beside_modules_that_bear_our_folders_names(
    hostile: Path, make_study: MakeStudy
) -> None:
    (hostile / "tiny.yaml").write_text(yaml.safe_dump(make_study()))
    command = ["-m", "clipsweep", "run", "tiny.yaml", "--dir", "done", "--replicas", "2", "--json"]
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as home:  # Ray's sockets need a short path
        variables = {"HOME": home, "RAY_TMPDIR": home, "RAY_AUTH_MODE": "disabled"}
        document = json.loads(run_python(*command, cwd=hostile, **variables))
    assert (document["state"], document["failed"]) == ("done", 0)
    rows = ResultsTable(hostile / "done" / "trials").read()
    assert len(rows) >= 5
    assert {row.replica for row in rows} <= {"replica-0", "replica-1"}


def test_lint_refuses_an_import_by_an_old_name() -> None:
    ruff = Path(sys.executable).parent / "ruff"
    command = [
        str(ruff),
        "check",
        "--select",
        "TID251",
        "--output-format",
        "concise",
        "--stdin-filename",
        "new.py",
        "-",
    ]
    code = "from trials.spec.clip import Clip\n"
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TID251" in done.stdout
    assert "clipsweep.trials" in done.stdout


def our_files() -> list[Path]:
    return sorted(path for folder in (*FOLDERS, "clipsweep", "tests") for path in (ROOT / folder).rglob("*.py"))


def old_names(tree: ast.AST) -> Iterator[str]:
    """What a file imports by an old name, also where a string names a module for a table to import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in FOLDERS)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FOLDERS:
            yield node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and names_module(node.value):
            yield node.value


def names_module(text: str) -> bool:
    """Whether a string is the dotted path of a module of ours without ``clipsweep``, with or without an attribute."""
    found = re.fullmatch(rf"((?:{'|'.join(FOLDERS)})(?:\.\w+)+)(?::\w+)?", text)
    place = ROOT / found[1].replace(".", "/") if found else None
    return place is not None and (place.is_dir() or place.with_suffix(".py").is_file())


@pytest.mark.parametrize(
    "code",
    [
        "import trials",
        "import analysis.store.table as table",
        "from cluster.pool import Pool",
        "TABLE = {'grid': 'orchestrator.drivers.grid:GridDriver'}",
        "import_module('trials.spec.trial')",
    ],
)
def test_an_import_by_an_old_name_is_found(code: str) -> None:
    assert len(list(old_names(ast.parse(code)))) == 1


def test_no_file_of_ours_imports_by_an_old_name() -> None:
    found = {path: names for path in our_files() if (names := list(old_names(ast.parse(path.read_text()))))}
    assert found == {}
