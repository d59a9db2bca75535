"""The charts of a study's report, from the catalogue of figures."""

from __future__ import annotations

from clipsweep.analysis.drawing.chart import Chart
from clipsweep.analysis.figures.catalogue import make_figures
from clipsweep.analysis.frames.frames import Frames
from clipsweep.analysis.frames.point_frame import point_frame
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.sample import Sample
from clipsweep.analysis.store.rows import LatestRows

SEARCH, THEORY = "search", "theory-"


def study_charts(facts: ReportFacts, sample: Sample) -> list[Chart]:
    """The charts that have something to show, in the page's order; the page has a table of winners of its own.

    A sample has no chart of the search: that counts trials, rows and hours, of which a part is no progress. Of a study
    that did not ask for the theory there is none of that.
    """
    standings = sample.standings
    rows = standings.rows
    if not standings.points or not isinstance(rows, LatestRows):
        return []
    frames = Frames(
        make_trials=lambda: trial_frame(rows),
        make_points=lambda: point_frame(standings),
        spectra=facts.spectra,
        make_theory=lambda: facts.theory,
    )
    made = [each for _, each in make_figures(frames) if isinstance(each, Chart)]
    shown = made if facts.theory is not None else [chart for chart in made if not is_theory(chart)]
    return [chart for chart in shown if sample.is_whole or chart.name != SEARCH]


def is_theory(chart: Chart) -> bool:
    """Whether a chart belongs to the part of the page about the paper's theory."""
    return chart.name.startswith(THEORY)
