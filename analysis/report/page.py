"""The report: one HTML file that opens offline, with everything inside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from clipsweep.analysis.figures.conditions import ConditionLine, condition_figure
from clipsweep.analysis.figures.curves import curve_panels
from clipsweep.analysis.figures.front import front_figure
from clipsweep.analysis.figures.search import search_panels
from clipsweep.analysis.figures.style import PLOT_CONFIG, in_words, legend_of
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.pareto import Rated, pareto_front, rate_points
from clipsweep.analysis.winners.point import describe_clips, describe_point, label_layers, runs_of
from clipsweep.analysis.winners.scores import state_of
from clipsweep.analysis.winners.standings import Standings
from clipsweep.analysis.winners.step_gain import StepGain
from clipsweep.trials.base.files import write_text
from clipsweep.trials.spec.result import TrialState


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
        trials: How many trials the points have by now, in words.
        notes: What should be known beside the answer.
        steps: Of a composition, those that have ended.
        apply: The command that writes the winner as a checkpoint; None where that is the untouched model.
    """

    study: str
    facts: Mapping[str, str]
    conditions: Sequence[ConditionLine] = ()
    history: Sequence[StoredRow] = ()
    two_objectives: bool = False
    points_total: int | None = None
    trials: str = ""
    notes: Sequence[str] = ()
    steps: Sequence[StepGain] = ()
    apply: str | None = None


def write_report(path: Path, facts: ReportFacts, standings: Standings) -> None:
    """Write the report whole, from what is stored so far.

    Args:
        path: The HTML file.
        facts: About the study.
        standings: Points that have stored rows, with the latest attempt at each trial.
    """
    points = standings.points
    rated = rate_points(points, standings.rows) if facts.two_objectives else []
    front = pareto_front(rated)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            study=facts.study,
            facts=facts.facts,
            points_total=len(points) if facts.points_total is None else facts.points_total,
            points_done=sum(map(standings.has_rows, points)),
            trials=facts.trials,
            notes=facts.notes,
            apply=facts.apply,
            winner=standings.winner,
            metric=points[0].metric if points else "accuracy",
            groups=standings.winners,
            describe=describe_point,
            describe_clips=describe_clips,
            steps=facts.steps,
            front=front,
            sections=_sections(facts, standings, rated, front),
            failed=_failed(standings),
            plotly=get_plotlyjs(),
        )
    )
    write_text(path, page)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("clipsweep.analysis.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["rate"] = lambda rate: f"{rate:g}"
    environment.filters["runs"] = runs_of
    environment.filters["layers"] = label_layers
    environment.filters["words"] = in_words
    environment.filters["points"] = lambda fraction: f"{100 * fraction:+.1f}"
    return environment


def _sections(
    facts: ReportFacts, standings: Standings, rated: Sequence[Rated], front: Sequence[Rated]
) -> dict[str, list[dict[str, Any]]]:
    """The figures under their headings; headings without a figure are left out."""
    points, rows = standings.points, standings.rows
    measured = [line for line in facts.conditions if line.values]
    sections = {
        "Score against parameters kept": [_panel("Pareto front", front_figure(rated, front))] if rated else [],
        "Score against clip rate": [_panel(title, figure) for title, figure in curve_panels(points, rows)],
        "Search": [_panel(title, figure) for title, figure in search_panels(facts.history, points)],
        "Condition number by layer": [_panel(_gaps(measured), condition_figure(measured))] if measured else [],
    }
    return {title: panels for title, panels in sections.items() if panels}


def _failed(standings: Standings) -> list[StoredRow]:
    """Latest attempts that failed, of trials that the points ask for."""
    asked = [(*point.trial_ids, *point.test_ids, *point.baseline_test_ids) for point in standings.points]
    trial_ids = {trial_id for each in asked for trial_id in each}
    failed = [each for each in standings.rows if state_of(each, standings.rows) is TrialState.FAILED]
    return [standings.rows[trial_id] for trial_id in failed if trial_id in trial_ids]


def _gaps(lines: Sequence[ConditionLine]) -> str:
    """Title of the condition numbers: what is shown, and what is not."""
    singular = any(math.isinf(value) for line in lines for value in line.values.values())
    return "σmax / σmin" + (" (a gap is a singular matrix: infinite)" if singular else "")


def _panel(title: str, figure: Any) -> dict[str, Any]:
    """What the page needs of a figure."""
    html = figure.to_html(full_html=False, include_plotlyjs=False, config=PLOT_CONFIG)
    return {"title": title, "legend": legend_of(figure), "html": html}
