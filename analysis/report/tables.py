"""The tables of the report that are written whole: winners, steps of a composition, the Pareto front, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.words import in_words
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.pareto import Rated
from clipsweep.analysis.winners.point import (
    describe_clips,
    describe_point,
    join_kinds,
    label_place,
    label_rates,
)
from clipsweep.analysis.winners.standings import Standings, Winner
from clipsweep.analysis.winners.step_gain import StepGain
from clipsweep.analysis.winners.verdict import judge_winner
from clipsweep.trials.spec.kinds import DEFAULT_KIND

MOST_FAILURES = 50
GAIN_COLUMNS = ("points gained", "95 % interval", "p")
CAPTION_OF_WINNERS = (
    "The best of each number of shots and module on validation, beside the untouched model at the same shots. Gains "
    "are in points of accuracy, on test rows where those have been run."
)
CAPTION_OF_STEPS = (
    "Of each step the best clip that it tried on top of those kept before it, and what that gains on the same "
    "validation rows, on which it was picked."
)
CAPTION_OF_FRONT = (
    "Points that no other beats: none scores as much with fewer parameters. Measured on validation rows. Of equal "
    "scores the one with fewer parameters counts, for the winner too."
)


def winners_table(standings: Standings, metric: str) -> Table:
    """The winner of each shots and module."""
    score = in_words(metric)
    kinds = any(clip.kind != DEFAULT_KIND for each in standings.winners.values() for clip in each.point.clips)
    return Table(
        name="winners",
        title="Winners",
        caption=CAPTION_OF_WINNERS,
        columns=(
            *("shots", "module", *["kind"] * kinds, "layer", "clip rate"),
            *(f"{score} on validation", "untouched", *GAIN_COLUMNS, "gain on", "in words"),
        ),
        rows=[_winner_row(shots, module, each, kinds=kinds) for (shots, module), each in standings.winners.items()],
    )


def _winner_row(shots: int, module: str, winner: Winner, *, kinds: bool) -> tuple[str | int | None, ...]:
    clips = winner.point.clips
    return (
        *(shots, module, *[join_kinds(clips)] * kinds),
        label_place(clips),
        label_rates(clips),
        f"{winner.score:.4f}",
        f"{winner.baseline_score:.4f}",
        *_gain_cells(winner.gain),
        winner.gain.split,
        judge_winner(winner).short,
    )


def steps_table(steps: Sequence[StepGain], metric: str) -> Table:
    """The steps of a composition that have ended."""
    return Table(
        name="steps",
        title="Steps of the composition",
        caption=CAPTION_OF_STEPS,
        columns=("shots", "step", "best of the step", "tried", "kept", in_words(metric), *GAIN_COLUMNS),
        rows=[
            (
                *(each.shots, each.number, describe_clips(each.clips), each.tried, "yes" if each.kept else "no"),
                *(f"{each.score:.4f}", *_gain_cells(each.gain)),
            )
            for each in steps
        ],
    )


def front_table(front: Sequence[Rated], winner: Winner | None, metric: str) -> Table:
    """The Pareto front."""
    return Table(
        name="front",
        title="Pareto front",
        caption=CAPTION_OF_FRONT,
        columns=("point", f"{in_words(metric)} on validation", "parameters kept", "winner"),
        rows=[
            (
                *(describe_point(each.point), f"{each.score:.4f}", each.parameters),
                "yes" if winner is not None and each.point == winner.point else "",
            )
            for each in front
        ],
    )


def failures_table(failed: Sequence[StoredRow]) -> Table:
    """Trials whose latest attempt failed, the first of them."""
    more = f" The first {MOST_FAILURES} of {len(failed):,}." if len(failed) > MOST_FAILURES else ""
    return Table(
        name="failures",
        title="Failed trials",
        caption=f"Trials whose latest attempt ended with an error. Running the study again tries them again.{more}",
        columns=("trial", "shots", "clip", "error"),
        rows=[
            (row.trial_id[:8], row.shots, describe_clips(row.clips) or "none: the untouched model", row.error)
            for row in failed[:MOST_FAILURES]
        ],
    )


def numbers_of(winner: Winner) -> Mapping[str, tuple[str, str]]:
    """The scores on the card: by split those of the winner and of the untouched model, as text."""
    numbers = {}
    if winner.test_scores is not None:
        numbers["test"] = (f"{winner.test_scores[0]:.4f}", f"{winner.test_scores[1]:.4f}")
    numbers["validation"] = (
        _with_spread(winner.score, winner.spread),
        _with_spread(winner.baseline_score, winner.baseline_spread),
    )
    return numbers


def _with_spread(score: float, spread: float | None) -> str:
    return f"{score:.4f}" + ("" if spread is None else f" ± {spread:.4f}")


def _gain_cells(gain: Gain) -> tuple[str, str, str]:
    """A gain in points, its interval and its p-value."""
    interval = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
    return f"{100 * gain.estimate:+.1f}", interval, f"{gain.p_value:.2g}"
