"""The house: which folder may import which, no circles, and where each heavy dependency lives."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("trials", "cluster", "analysis", "orchestrator")

# Every place that holds modules, from the lowest to the highest: each imports what stands above it here, never below.
ORDER = (
    "trials/base",
    "trials/scores",
    "trials/spec",
    "trials/prompts",
    "trials/checkpoint",
    "trials/models",
    "trials/decoder",
    "trials/clips",
    "trials/clips/kinds",
    "trials/theory",
    "trials/theory/regression",
    "trials/rows",
    "trials/tasks",
    "trials/tokens",
    "trials/texts",
    "trials/harness",
    "trials/engine",
    "trials/screen",
    "trials/export",
    "trials/embedded",
    "cluster",
    "cluster/ray_cluster",
    "cluster/on_ray",
    "analysis/row",
    "analysis/store",
    "analysis/spectra",
    "analysis/winners",
    "analysis/screens",
    "analysis/theory",
    "analysis/frames",
    "analysis/published",
    "analysis/drawing",
    "analysis/figures",
    "analysis/figures/scores",
    "analysis/figures/matrices",
    "analysis/figures/answers",
    "analysis/figures/theory",
    "analysis/figures/regression",
    "analysis/compare",
    "analysis/report",
    "orchestrator/source",
    "orchestrator/study",
    "orchestrator/space",
    "orchestrator/claims",
    "orchestrator/folder",
    "orchestrator/drivers/neighbours",
    "orchestrator/drivers/race",
    "orchestrator/drivers",
    "orchestrator/drivers/bayes",
    "orchestrator/plan",
    "orchestrator/status",
    "orchestrator/comparison",
    "orchestrator/theory",
    "orchestrator/reporting",
    "orchestrator/progress",
    "orchestrator/run",
    "orchestrator/evaluation",
    "orchestrator/upkeep",
    "orchestrator/views",
    "orchestrator/take_home",
    "orchestrator/editing",
    "orchestrator",
    "orchestrator/terminal",
    "orchestrator/commands",
)
BESIDE = {("cluster", "analysis")}  # neither imports the other, whatever the order says
LOWEST = {"clipsweep.orchestrator.words"}  # a module that any folder of the orchestrator may use
HIGHEST = {"clipsweep.orchestrator.cli"}  # the entry point, which puts the commands together
ANALYSIS_MAY_USE = (
    "base.errors",
    "base.files",
    "base.os_words",
    "base.versions",
    "spec",
    "scores.metrics",
    "scores.shown",
    "scores.tally",
    "clips.spectrum",
    "screen.screened",
)
MOST_MODULES = 12
HOMES = {
    "ray": {
        *(f"cluster/ray_cluster/{name}.py" for name in ("connect", "session")),
        *(f"cluster/on_ray/{name}.py" for name in ("fleet", "metrics", "ray_pool", "worker")),
    },
    "datasets": {"trials/tasks/read_rows.py"},
    "lm_eval": {"trials/harness/tasks.py"},
    "pyarrow": {
        "trials/rows/parquet_file.py",
        *(f"analysis/row/{name}.py" for name in ("arrays", "check_rows", "columns", "row")),
        *(f"analysis/published/{name}.py" for name in ("make", "read")),
        *(f"analysis/store/{name}.py" for name in ("blocks", "filled", "gather", "part", "rows", "table")),
        "analysis/frames/spectra_frame.py",
        "analysis/screens/screen_file.py",
        *(f"analysis/spectra/{name}.py" for name in ("columns", "spectrum_file")),
        "analysis/theory/norms_file.py",
    },
    "matplotlib": {f"analysis/drawing/{name}_matplotlib.py" for name in ("marks", "with")},
    "plotly": {
        *(f"analysis/report/{name}.py" for name in ("drawn", "environment")),
        "analysis/drawing/with_plotly.py",
    },
    "duckdb": {"orchestrator/status/ask_sql.py"},
    "typer": {
        "orchestrator/cli.py",
        "orchestrator/terminal/shell.py",
        *(
            f"orchestrator/commands/{name}.py"
            for name in (
                *("apply", "compare", "evaluate", "figures", "look", "make", "results"),
                *("run", "study", "theory", "upkeep"),
            )
        ),
    },
    "sentencepiece": {"trials/tokens/tokenizer.py"},
    "optuna": {"orchestrator/drivers/bayes/optuna_study.py"},
    "pydantic": {
        f"orchestrator/study/{name}.py"
        for name in ("check", "expected", "explain", "kind_section", "schema", "section", "task_section")
    },
}


def files_below(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    inside = path.relative_to(ROOT).with_suffix("")
    return ".".join(("clipsweep", *inside.parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for folder in FOLDERS for path in files_below(folder)}
LIGHT = (  # of trials: what reading a study needs
    "base.errors",
    "base.files",
    "base.hub",
    "base.os_words",
    "base.versions",
    "scores.judge",
    "scores.metrics",
    "scores.shown",
    "scores.tally",
    "spec.clip",
    "spec.kinds",
    "spec.ladder",
    "spec.modules",
    "spec.options",
    "spec.resolved",
    "spec.result",
    "spec.shape",
    "spec.start",
    "spec.trial",
    "checkpoint.pickled",
    "checkpoint.weight_files",
    "models.card",
    "models.describe",
    "models.facts",
    "models.find",
    "models.fit",
    "models.settings",
    "clips.identity",
    "clips.kind",
    *(f"clips.kinds.{name}" for name in ("cumulative", "magnitude", "random_change", "randomised", "tail")),
    *(f"clips.kinds.{name}" for name in ("whitened", "window", "zero")),
    "clips.resolve",
    "clips.spectrum",
    "clips.svd",
    "engine.cost",
    "engine.microbatches",
    "export.draft_folder",
    "export.recipe",
    "rows.read_folder",
    "tasks.definition",
    "tasks.load",
    "prompts.layout",
    "prompts.prompts",
    "prompts.reader",
    "tasks.release",
    "tasks.settings",
    "tasks.table",
    "tasks.texts",
    "tokens.encode",
    "tokens.read",
    "tokens.special",
    "tokens.wording",
)
HEAVY = {"torch", "transformers", "datasets", "ray"}


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it: also inside functions, and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(imported: str) -> str | None:
    """The module of ours that an imported name stands for or comes from."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in MODULES), None)


def arrows() -> Iterator[tuple[str, str]]:
    for module, path in MODULES.items():
        targets = {target for name in imports_of(path) if (target := ours(name)) is not None}
        yield from ((module, target) for target in sorted(targets))


def floor(module: str) -> int:
    """How high a module stands."""
    if module in HIGHEST:
        return len(ORDER)
    return -1 if module in LOWEST else ORDER.index(MODULES[module].parent.relative_to(ROOT).as_posix())


def folder_of(module: str) -> str:
    return module.split(".")[1]


def test_every_folder_with_modules_has_its_place_in_the_order() -> None:
    packages = {path.parent.relative_to(ROOT).as_posix() for path in MODULES.values() if path.name != "__init__.py"}
    assert packages == set(ORDER)


def test_no_arrow_runs_up() -> None:
    assert [(one, other) for one, other in arrows() if floor(one) < floor(other)] == []


def test_there_is_no_circle_of_modules() -> None:
    graph: dict[str, set[str]] = {}
    for one, other in arrows():
        graph.setdefault(one, set()).add(other)
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")
    assert len(order) > 100


def test_folders_that_stand_beside_each_other_do_not_import_each_other() -> None:
    pairs = {frozenset(pair) for pair in BESIDE}
    assert [arrow for arrow in arrows() if frozenset(map(folder_of, arrow)) in pairs] == []


def test_analysis_uses_only_value_types_of_trials() -> None:
    used = {other for one, other in arrows() if folder_of(one) == "analysis" and folder_of(other) == "trials"}
    allowed = tuple(f"clipsweep.trials.{name}" for name in ANALYSIS_MAY_USE)
    assert used
    assert [name for name in used if not name.startswith(allowed)] == []


@pytest.mark.parametrize("place", ORDER)
def test_a_folder_holds_no_more_modules_than_one_can_look_over(place: str) -> None:
    modules = [path for path in (ROOT / place).glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(modules) <= MOST_MODULES


@pytest.mark.parametrize("place", ORDER)
def test_a_folder_says_what_it_owns(place: str) -> None:
    readme = (ROOT / place / "README.md").read_text(encoding="utf-8")
    assert all(word in readme for word in ("Owns", "Refuses", "Start"))


@pytest.mark.parametrize("place", ORDER)
def test_a_readme_names_every_module_of_its_folder_and_no_other(place: str) -> None:
    folder = ROOT / place
    named = set(re.findall(r"`(\w+\.py)`", (folder / "README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in folder.glob("*.py")} - {"__init__.py"}


@pytest.mark.parametrize("place", ORDER)
def test_a_folder_has_its_line_in_the_tree_of_the_contributors_guide(place: str) -> None:
    tree = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f" {place.rpartition('/')[2]}/ " in tree


@pytest.mark.parametrize("place", ORDER)
def test_tests_mirror_the_folders(place: str) -> None:
    tests = ROOT / "tests" / place
    assert any(tests.glob("test_*.py"))


@pytest.mark.parametrize("package", HOMES)
def test_a_heavy_dependency_has_one_home(package: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES.values()
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert users == HOMES[package]


@pytest.mark.parametrize("package", [path.parent for path in MODULES.values() if path.name == "__init__.py"])
def test_a_package_of_ours_holds_a_docstring_and_nothing_else(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


def test_what_reading_a_study_needs_loads_no_heavy_library() -> None:
    modules = [f"clipsweep.trials.{name}" for name in LIGHT]
    code = (
        "import sys; from importlib import import_module\n"
        f"for name in {modules!r}:\n"
        "    import_module(name)\n"
        f"    found = {HEAVY!r} & sys.modules.keys()\n"
        "    assert not found, (name, found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
