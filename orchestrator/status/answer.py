"""What commands say about a study: the answer in words, its table, its status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.analysis.store.table import Row, latest_of
from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.winner import BEST_MEAN, Winner, describe_point, find_winner, winning_points
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.lock import is_locked
from clipsweep.orchestrator.folder.open_study import OpenStudy, read_end
from clipsweep.orchestrator.plan.ahead import is_searched, look_ahead
from clipsweep.orchestrator.space.layer_rule import measured_values, module_places
from clipsweep.trials.spec.trial import TrialState

if TYPE_CHECKING:
    from clipsweep.analysis.figures.figures import ConditionLine
    from clipsweep.analysis.report.page import ReportFacts

NO_WINNER = "no winner yet: it needs a complete baseline and one more complete trial"
REPORT = "report.html"
SUMMARY_COLUMNS = (
    "split",
    "shots",
    "demo_seed",
    "module",
    "layer",
    "clip_rate",
    "state",
    "n_examples",
    "accuracy",
    "seconds",
    "error",
)


def describe_winner(opened: OpenStudy, rows: dict[str, Row]) -> str:
    """The winner, its baseline and its gain, in three lines."""
    winner = find_winner(opened.points(rows), rows)
    if winner is None:
        return NO_WINNER
    gain, metric = winner.gain, winner.point.metric
    judged = "on validation" if metric == "accuracy" else f"{metric} on validation"
    picked = "best of" if winner.point.rule == BEST_MEAN else "fewest parameters near the best of"
    return "\n".join(
        [
            f"winner    {describe_point(winner.point)}: {_score(winner.score, winner.spread)} {judged}, {picked} "
            f"{winner.considered} trials",
            f"baseline  the untouched model, same shots: "
            f"{_score(winner.baseline_score, winner.baseline_spread)} {judged}",
            f"gain      {100 * gain.estimate:+.1f} points on {gain.split} ({_test_scores(winner)}95 % interval "
            f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}, p = {gain.p_value:.2g})",
        ]
    )


def describe_front(opened: OpenStudy, rows: dict[str, Row]) -> str:
    """The Pareto front, a line for each of its points."""
    front = pareto_front(rate_points(opened.points(rows), rows))
    lines = [f"  {each.score:.4f}  {each.parameters:>13,}  {describe_point(each.point)}" for each in front]
    return "\n".join(["front     score, parameters kept, point (on validation)", *lines])


def _score(score: float, spread: float | None) -> str:
    return f"{score:.4f}" if spread is None else f"{score:.4f} ± {spread:.4f} over demonstration seeds"


def _test_scores(winner: Winner) -> str:
    return "{:.4f} against {:.4f}, ".format(*winner.test_scores) if winner.test_scores else ""


def needed_trials(opened: OpenStudy, rows: dict[str, Row]) -> tuple[set[str], set[str]]:
    """Identities of the trials that stored rows call for.

    Returns:
        On validation all seeds of the points that have rows, and the baselines; on test the winners' so far.
    """
    points = opened.points(rows)
    chosen = winning_points(points, rows)
    return (
        {trial_id for point in points for trial_id in (*point.trial_ids, *point.baseline_ids)} | opened.baselines(rows),
        {trial_id for point in chosen for trial_id in (*point.test_ids, *point.baseline_test_ids)},
    )


def read_status(opened: OpenStudy) -> dict[str, Any]:
    """Counts from the store; rate, time left and replicas from the running process, if there is one.

    Returns:
        The document of ``clipsweep status --json``; ``state`` is ``running``, ``done``, ``failed`` or ``interrupted``,
        ``stopped_by`` the stopping rule that ended the search, if one did.
    """
    rows = opened.table.latest()
    searched, tested = needed_trials(opened, rows)
    states = [rows[trial_id]["state"] for trial_id in searched | tested if trial_id in rows]
    count = {state: states.count(state.value) for state in TrialState}
    running = is_locked(opened.folder)
    path = opened.folder / "status.json"
    live = json.loads(path.read_text(encoding="utf-8")) if running and path.is_file() else {}
    end = read_end(opened.folder)
    # what a stopping rule left out is not waited for
    total = len(states) if end else max(len(searched), look_ahead(opened, Ledger(opened)).total) + len(tested)
    left = total - len(states)
    # what a race, or a sampler without a number of trials, has yet to run cannot be told from its rows
    open_ended = opened.study.search.race is not None or is_searched(opened.study)
    cut_off = left or (open_ended and not end)
    state = "interrupted" if cut_off else "failed" if count[TrialState.FAILED] else "done"
    replicas = live.get("replicas", [])
    return {
        "state": "running" if running else state,
        "done": count[TrialState.COMPLETE],
        "running": live.get("running", 0),
        "pruned": count[TrialState.PRUNED],
        "failed": count[TrialState.FAILED],
        "total": total,
        "stopped_by": end["stopped_by"] if end else None,
        "trials_per_second": live.get("trials_per_second"),
        "seconds_left": live.get("seconds_left"),
        "replicas": replicas,
    }


def write_study_report(opened: OpenStudy, out: Path | None = None) -> Path:
    """Write a study's report from what is stored."""
    from clipsweep.analysis.report.page import write_report  # with jinja2 and plotly, which only the report needs

    path = out or opened.folder / REPORT
    history = opened.table.read()
    rows = latest_of(history)
    write_report(path, report_facts(opened, history), opened.points(rows), rows)
    return path


def report_facts(opened: OpenStudy, history: Sequence[Row]) -> ReportFacts:
    """What the report says about the study besides its results.

    Args:
        opened: The study.
        history: Every stored attempt in the order they finished.
    """
    from clipsweep.analysis.report.page import ReportFacts

    study, card = opened.study, opened.identity.card
    sizes = ", ".join(f"{count} {split}" for split, count in opened.identity.split_sizes.items())
    facts = {
        "model": f"{study.model.path} ({card.model_type}, {card.n_layers} layers, "
        f"{card.parameters_total / 1e6:,.1f} M parameters, {card.dtype}, fingerprint {card.fingerprint[:12]})",
        "task": f"{study.task.name} ({study.task.variant} variant, {sizes} rows, split seed {study.task.seed}, "
        f"fingerprint {opened.identity.task_fingerprint[:12]})",
        "rows left out": ", ".join(f"{count} of {split}" for split, count in opened.identity.dropped.items())
        + ", whose text is in another split",
        "demonstration seeds": ", ".join(map(str, opened.space.demo_seeds)),
        "driver": study.search.driver,
        "microbatch": str(study.cluster.microbatch),
        "trials stored": str(len({row["trial_id"] for row in history})),
    }
    if study.search.race is not None:
        facts["race"] = study.search.race
    if (end := read_end(opened.folder)) and end["stopped_by"]:
        facts["stopped by"] = end["stopped_by"]
    if opened.space.rule is not None:
        facts["layers"] = describe_layers(opened)
    if history:
        latest = history[-1]
        versions = ", ".join(f"{name} {number}" for name, number in latest["versions"].items() if number)
        facts |= {"versions": versions, "last trial": latest["finished_at"].strftime("%Y-%m-%d %H:%M UTC")}
    return ReportFacts(
        study=study.name,
        facts=facts,
        conditions=condition_lines(opened),
        two_objectives=opened.two_objectives,
        history=history,
        points_total=None if is_searched(study) else opened.space.n_points,
    )


def describe_layers(opened: OpenStudy) -> str:
    """Which layers the condition numbers chose, and by what rule."""
    rule, combination = opened.space.rule, opened.study.search.module_condition
    assert rule is not None, "only of studies that let condition numbers choose"
    kept = f"the deepest of the {rule.count} layers" if rule.deepest else f"the {rule.count} layers"
    named = ", ".join(f"{module} of layer {layer}" for layer, module in opened.space.sites())
    return (
        f"{named if opened.space.settled else 'not chosen yet'}: of each module {kept} with the largest condition "
        f"number ({combination} over its matrices)"
    )


def condition_lines(opened: OpenStudy) -> list[ConditionLine]:
    """Condition number of each module by layer, as far as ``spectrum.parquet`` has it, and what was chosen by it."""
    from clipsweep.analysis.figures.figures import ConditionLine

    space, card, conditions = opened.space, opened.identity.card, opened.spectrum.conditions()
    sites = space.sites() if space.rule is not None and space.settled else []
    return [
        ConditionLine(
            module=module,
            values=space.rule.values(conditions, module)
            if space.rule
            else measured_values(module_places(card, module), conditions),
            chosen=tuple(layer for layer, each in sites if each == module),
        )
        for module in space.modules
    ]
