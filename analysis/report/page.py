"""The report: one HTML file that opens offline, with everything inside it, the answer first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.theory.table import correlations_table
from clipsweep.analysis.figures.words import in_words
from clipsweep.analysis.report.charts import is_theory, study_charts
from clipsweep.analysis.report.drawn import DrawnFigure, draw
from clipsweep.analysis.report.environment import make_environment, script_json
from clipsweep.analysis.report.examples import directions_of
from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.predicted import predicted_table
from clipsweep.analysis.report.sample import sample_points
from clipsweep.analysis.report.tables import (
    failures_table,
    front_table,
    numbers_of,
    perplexities_of,
    steps_table,
    tasks_table,
    winners_table,
)
from clipsweep.analysis.report.trials import trial_data
from clipsweep.analysis.theory.notes import cost_of
from clipsweep.analysis.theory.verdict import TOO_EARLY, headline, verdict
from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR, describe_point
from clipsweep.analysis.winners.standings import Standings, count_distinct
from clipsweep.analysis.winners.verdict import judge_winner
from clipsweep.trials.base.files import write_text
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import unit_of


def write_report(path: Path, facts: ReportFacts, standings: Standings) -> None:
    """Write the report whole, from what is stored so far.

    Args:
        path: The HTML file.
        facts: About the study.
        standings: Points that have stored rows, with the latest attempt at each trial.
    """
    points = standings.points
    metric = points[0].metric if points else "accuracy"
    rated = rate_points(points, standings.rows) if facts.two_objectives else []
    front = pareto_front(rated)
    sample = sample_points(standings, [each.point for each in front])
    tables = [tasks_table(standings.winner), winners_table(standings, metric), steps_table(facts.steps, metric)]
    tables += [front_table(front, standings.winner, metric)] if facts.two_objectives else []
    tables += [predicted_table(standings, facts.screens, metric)] if facts.screens is not None else []
    trials = trial_data(sample.standings, metric)
    charts = study_charts(facts, sample)
    page = (
        make_environment()
        .get_template("report.html")
        .render(
            facts=facts,
            metric=in_words(metric),
            gained=_gained(METRICS[metric].gained),
            points_total=count_distinct(points) if facts.points_total is None else facts.points_total,
            points_done=count_distinct(filter(standings.is_evaluated, points)),
            answer=_answer(standings),
            sample=sample.words,
            figures=[draw(chart) for chart in charts if not is_theory(chart)],
            theory=_theory(facts, [draw(chart) for chart in charts if is_theory(chart)]),
            directions=directions_of(facts.flips) if facts.flips is not None else [],
            n_trials=trials["rows"],
            trials=script_json(trials),
            tables=_shown(tables),
            failed=len(facts.failed),
            failures=_shown([failures_table(facts.failed)]),
        )
    )
    write_text(path, page)


def _shown(tables: Sequence[Table]) -> list[Table]:
    """Tables that have rows."""
    return [table for table in tables if table.rows]


def _gained(metric: str) -> dict[str, Any]:
    """How gains are told: their unit, and its words on the card and in the table of trials."""
    unit, of_text = unit_of(metric), METRICS[metric].of_text
    words = unit.words if of_text else f"{unit.words} of {metric}"
    examples = "windows" if of_text else "examples"
    return {"unit": unit, "words": words, "of_text": of_text, "column": unit.words, "examples": examples}


def _theory(facts: ReportFacts, figures: Sequence[DrawnFigure]) -> dict[str, Any] | None:
    """What the page says of the paper's theory; None of a study that did not ask for it."""
    if facts.theory is None:
        said = [facts.no_theory]
        early = {"headline": TOO_EARLY, "sentences": said, "notes": (), "cost": "", "figures": (), "tables": ()}
        return early if facts.no_theory else None
    found, table = facts.theory, correlations_table(facts.theory)
    return {
        "headline": headline(found.predictions),
        "sentences": verdict(found.predictions),
        "notes": found.notes,
        "cost": cost_of(found.changes),
        "figures": figures,
        "tables": [] if table is None else [table],
        "n_layers": len({trial.layer for trial in found.changes.trials}),
    }


def _answer(standings: Standings) -> dict[str, Any] | None:
    """The winner as its card tells of it; None while there is none."""
    winner = standings.winner
    if winner is None or winner.is_alone:
        return None
    how = "the best mean score"
    if standings.picked_from_some:
        how = "what the steps of the composition kept"
    elif winner.point.rule == ONE_STANDARD_ERROR:
        how = "the one with the fewest parameters within one standard error of the best"
    return {
        "verdict": judge_winner(winner),
        "winner": describe_point(winner.point),
        "how": how,
        "among": winner.considered_points,
        "numbers": numbers_of(winner),
        "perplexities": perplexities_of(winner),
        "gain": winner.gain,
        "is_untouched": winner.is_untouched,
        "n_seeds": max((task.n_trials for task in winner.point.tasks), default=len(winner.point.trial_ids)),
    }
