"""Nothing of ours unpickles: whoever wrote a study folder or a cache would run code as whoever reads it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("trials", "cluster", "analysis", "orchestrator")
MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
ERROR = "pickle.UnpicklingError"  # the one thing of theirs that is used: what torch raises of a damaged checkpoint
PICKLED_CHECKPOINTS = "trials/checkpoint/pickled.py"


def name_of(node: ast.expr) -> str:
    """``torch.load`` of a call's function; empty where it is no dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return ""


def told(call: ast.Call, keyword: str) -> object:
    """The constant that a call passes as a keyword."""
    values = [each.value for each in call.keywords if each.arg == keyword]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def unpickles(code: str) -> Iterator[str]:
    """Whatever unpickles, or builds objects of any class, in a module."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = name_of(node)
            if name.partition(".")[0] in MODULES - {name} and name != ERROR:
                yield name
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield f"from {node.module}"
        if isinstance(node, ast.Call):
            yield from in_call(node)


def in_call(call: ast.Call) -> Iterator[str]:
    name = name_of(call.func)
    method = name.rpartition(".")[2]
    if name == "torch.load" and told(call, "weights_only") is not True:
        yield name
    if method in {"read_pickle", "load_from_disk", "unsafe_load", "full_load"} or told(call, "allow_pickle") is True:
        yield name
    if told(call, "trust_remote_code") is True:
        yield f"{name} with code of the checkpoint"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(content)",
        "from pickle import loads",
        "import dill\nload = dill.load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
        "yaml.unsafe_load(text)",
        "AutoConfig.from_pretrained(folder, trust_remote_code=True)",
    ],
)
def test_what_unpickles_is_found(code: str) -> None:
    assert list(unpickles(code))


@pytest.mark.parametrize("code", ["torch.load(path, weights_only=True)", f"import pickle\nERRORS = ({ERROR},)"])
def test_what_does_not_is_let_pass(code: str) -> None:
    assert list(unpickles(code)) == []


def test_nothing_of_ours_unpickles() -> None:
    files = [path for folder in (*FOLDERS, "clipsweep") for path in (ROOT / folder).rglob("*.py")]
    found = {path: names for path in files if (names := list(unpickles(path.read_text(encoding="utf-8"))))}
    assert found == {}


def test_pickled_weights_are_read_in_one_place_by_the_loader_of_weights_alone() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    readers = [path.relative_to(ROOT).as_posix() for path in files if "torch.load(" in path.read_text(encoding="utf-8")]
    assert readers == [PICKLED_CHECKPOINTS]
