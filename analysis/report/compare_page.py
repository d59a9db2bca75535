"""The page of a comparison: one HTML file that opens offline, in the style of a study's report."""

from __future__ import annotations

from pathlib import Path

from clipsweep.analysis.drawing.chart import Chart
from clipsweep.analysis.report.drawn import draw
from clipsweep.analysis.report.environment import make_environment
from clipsweep.trials.base.files import write_text


def write_comparison(path: Path, chart: Chart, words: str) -> None:
    """Write the page whole.

    Args:
        path: The HTML file.
        chart: Of the comparison.
        words: Plain text, its lines aligned.
    """
    template = make_environment().get_template("compare.html")
    write_text(path, template.render(title=chart.title, figures=[draw(chart)], sample="", words=words))
