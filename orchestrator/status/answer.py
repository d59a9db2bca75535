"""The answer of a study in words: its winner, its Pareto front."""

from __future__ import annotations

from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.point import BEST_MEAN, describe_point
from clipsweep.analysis.winners.standings import Standings, Winner

NO_WINNER = "no winner yet: it needs a complete baseline and one more complete trial"


def describe_winner(standings: Standings) -> str:
    """The winner, its baseline and its gain, in three lines."""
    winner = standings.winner
    if winner is None:
        return NO_WINNER
    point, gain = winner.point, winner.gain
    judged = "on validation" if point.metric == "accuracy" else f"{point.metric} on validation"
    picked = "best of" if point.rule == BEST_MEAN else "fewest parameters near the best of"
    score = _score(winner.score, winner.spread)
    baseline = _score(winner.baseline_score, winner.baseline_spread)
    interval = f"95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
    measured = f"{100 * gain.estimate:+.1f} points on {gain.split}"
    return "\n".join(
        [
            f"winner    {describe_point(point)}: {score} {judged}, {picked} {winner.considered} trials",
            f"baseline  the untouched model, same shots: {baseline} {judged}",
            f"gain      {measured} ({_test_scores(winner)}{interval}, p = {gain.p_value:.2g})",
        ]
    )


def describe_front(standings: Standings) -> str:
    """The Pareto front, a line for each of its points."""
    front = pareto_front(rate_points(standings.points, standings.rows))
    lines = [f"  {each.score:.4f}  {each.parameters:>13,}  {describe_point(each.point)}" for each in front]
    return "\n".join(["front     score, parameters kept, point (on validation)", *lines])


def _score(score: float, spread: float | None) -> str:
    return f"{score:.4f}" if spread is None else f"{score:.4f} ± {spread:.4f} over demonstration seeds"


def _test_scores(winner: Winner) -> str:
    return "{:.4f} against {:.4f}, ".format(*winner.test_scores) if winner.test_scores else ""
