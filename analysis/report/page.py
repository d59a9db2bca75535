"""The report: one HTML file that opens offline, with everything inside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from clipsweep.analysis.figures.figures import (
    PLOT_CONFIG,
    ConditionLine,
    condition_figure,
    figure_panels,
    front_figure,
    legend_of,
    search_panels,
)
from clipsweep.analysis.store.table import Row
from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.winner import Point, describe_point, find_winner, find_winners
from clipsweep.trials.base.files import write_text
from clipsweep.trials.spec.trial import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report says about the study besides its results.

    Attributes:
        study: Name.
        facts: Label and value, in the order shown.
        conditions: Condition numbers by module, as far as measured.
        history: Every stored attempt in the order they finished.
        two_objectives: Whether the Pareto front of score and parameters kept is what the study is after.
        points_total: Points that it has in all; None where a search chooses them.
    """

    study: str
    facts: Mapping[str, str]
    conditions: Sequence[ConditionLine] = ()
    history: Sequence[Row] = ()
    two_objectives: bool = False
    points_total: int | None = None


def write_report(path: Path, facts: ReportFacts, points: Sequence[Point], rows: Mapping[str, Row]) -> None:
    """Write the report whole, from what is stored so far.

    Args:
        path: The HTML file.
        facts: About the study.
        points: Points that have stored rows, with their trials.
        rows: Latest attempt at each trial.
    """
    environment = Environment(
        loader=PackageLoader("clipsweep.analysis.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["rate"] = lambda rate: f"{rate:g}"
    environment.filters["points"] = lambda fraction: f"{100 * fraction:+.1f}"
    measured = [line for line in facts.conditions if line.values]
    rated = rate_points(points, rows) if facts.two_objectives else []
    front = pareto_front(rated)
    sections = {
        "Accuracy against parameters kept": [_panel("Pareto front", front_figure(rated, front))] if rated else [],
        "Score against clip rate": [_panel(title, figure) for title, figure in figure_panels(points, rows)],
        "Search": [_panel(title, figure) for title, figure in search_panels(facts.history, points)],
        "Condition number by layer": [_panel(_gaps(measured), condition_figure(measured))] if measured else [],
    }
    mine = {each for point in points for each in (*point.trial_ids, *point.test_ids, *point.baseline_test_ids)}
    failed = [row for key, row in rows.items() if key in mine and row["state"] == TrialState.FAILED.value]
    page = environment.get_template("report.html").render(
        study=facts.study,
        facts=facts.facts,
        points_total=len(points) if facts.points_total is None else facts.points_total,
        points_done=sum(all(trial_id in rows for trial_id in point.trial_ids) for point in points),
        winner=find_winner(points, rows),
        groups=find_winners(points, rows),
        describe=describe_point,
        front=front,
        sections={title: panels for title, panels in sections.items() if panels},
        failed=failed,
        plotly=get_plotlyjs(),
    )
    write_text(path, page)


def _gaps(lines: Sequence[ConditionLine]) -> str:
    """Title of the condition numbers: what is shown, and what is not."""
    singular = any(math.isinf(value) for line in lines for value in line.values.values())
    return "σmax / σmin" + (" (a gap is a singular matrix: infinite)" if singular else "")


def _panel(title: str, figure: Any) -> dict[str, Any]:
    """What the page needs of a figure."""
    html = figure.to_html(full_html=False, include_plotlyjs=False, config=PLOT_CONFIG)
    return {"title": title, "legend": legend_of(figure), "html": html}
