"""The charts of a study's report, from the catalogue of figures."""

from __future__ import annotations

from clipsweep.analysis.drawing.chart import Chart
from clipsweep.analysis.figures.catalogue import make_figures
from clipsweep.analysis.frames.frames import Frames
from clipsweep.analysis.frames.point_frame import point_frame
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.standings import Standings


def study_charts(facts: ReportFacts, standings: Standings) -> list[Chart]:
    """The charts that have something to show, in the page's order; the page has a table of winners of its own."""
    rows = standings.rows
    if not standings.points or not isinstance(rows, LatestRows):
        return []
    frames = Frames(
        make_trials=lambda: trial_frame(rows), make_points=lambda: point_frame(standings), spectra=facts.spectra
    )
    return [made for _, made in make_figures(frames) if isinstance(made, Chart)]
