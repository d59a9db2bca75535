"""What a run shows in a notebook, which is played by the two modules that rich asks for there."""

import builtins
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import clipsweep

MakeStudy = Callable[..., dict[str, Any]]


class ZMQInteractiveShell:
    """The class by whose name rich knows a notebook."""


class Output:
    """A widget that shows what is printed inside it."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def clear_output(self, *, wait: bool) -> None: ...


def add_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(attributes, __spec__=ModuleSpec(name, None))
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook displays, one after the other."""
    displayed: list[Any] = []
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    add_module(monkeypatch, "IPython")
    add_module(monkeypatch, "IPython.display", display=displayed.append)
    return displayed


def texts(shown: list[Any]) -> str:
    return "".join(each.text for each in shown if not isinstance(each, Output))


def test_a_notebook_shows_progress_in_lines(shown: list[Any], make_study: MakeStudy, tmp_path: Path) -> None:
    clipsweep.run(make_study(), dir=tmp_path / "s")
    assert "1 replica: in-process on cpu\n" in texts(shown)
    assert "/5 trials, " in texts(shown)


def test_a_notebook_with_widgets_shows_a_bar_up_to_its_end(
    shown: list[Any], make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_module(monkeypatch, "ipywidgets", Output=Output)
    study = clipsweep.run(make_study(), dir=tmp_path / "s")
    assert sum(isinstance(each, Output) for each in shown) == 1
    total = study.status()["total"]
    assert f"{total}/{total}" in texts(shown)


def test_a_kernel_without_ipython_runs_without_showing_anything(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert clipsweep.run(make_study(), dir=tmp_path / "s").status()["state"] == "done"
    assert capfd.readouterr().err == ""
