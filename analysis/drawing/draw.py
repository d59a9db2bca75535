"""Draw a chart by the name of the library that draws, or into a file; no library is loaded before."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from clipsweep.analysis.drawing.chart import Chart
from clipsweep.trials.base.errors import SpecError, StudyError, unknown_name
from clipsweep.trials.base.files import whole_file

Engine = Literal["matplotlib", "plotly"]
ENGINES = ("matplotlib", "plotly")
FileFormat = Literal["svg", "pdf", "png"]
FILE_FORMATS = ("svg", "pdf", "png")
NEEDS_MATPLOTLIB = (
    "figures for papers are drawn with matplotlib, which is not installed. Install it with: "
    "pip install 'clipsweep[figures]'"
)


def check_engine(engine: str) -> None:
    """Refuse a library that does not draw, or is not there.

    Raises:
        StudyError: No such engine.
        SpecError: matplotlib is not installed.
    """
    if engine not in ENGINES:
        raise StudyError(unknown_name("engine", engine, ENGINES))
    if engine == "matplotlib":
        check_matplotlib()


def check_matplotlib() -> None:
    """Refuse to go on where matplotlib is missing.

    Raises:
        SpecError: It is not installed.
    """
    if find_spec("matplotlib") is None:
        raise SpecError(NEEDS_MATPLOTLIB)


def draw(chart: Chart, engine: Engine) -> Any:
    """A figure of matplotlib or of plotly."""
    if engine == "plotly":
        from clipsweep.analysis.drawing.with_plotly import draw_plotly

        return draw_plotly(chart)
    from clipsweep.analysis.drawing.with_matplotlib import draw_matplotlib

    return draw_matplotlib(chart)


def write_chart(chart: Chart, path: Path, file_format: FileFormat) -> None:
    """Write a chart as a file of matplotlib's, whole."""
    with whole_file(path) as draft:
        draw(chart, "matplotlib").savefig(os.fspath(draft), format=file_format)
