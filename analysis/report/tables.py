"""The tables of the report that are written whole: winners, steps of a composition, the Pareto front, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clipsweep.analysis.compare.step_gain import StepGain
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
from clipsweep.analysis.winners.several import TaskScores
from clipsweep.analysis.winners.standings import Standings, Winner
from clipsweep.analysis.winners.verdict import judge_winner
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import perplexity_words, score_words, unit_of
from clipsweep.trials.spec.kinds import DEFAULT_KIND

MOST_FAILURES = 50
CAPTION_OF_WINNERS = (
    "The best of each number of shots and module on validation, beside the untouched model at the same shots. Gains "
    "are in {unit}, on test rows where those have been run."
)
CAPTION_OF_TASKS = (
    "The winner beside the untouched model at the same shots on each task of the score, as means over demonstration "
    "seeds. A point that loses more on a task than it may there cannot win."
)
CAPTION_OF_STEPS = (
    "Of each step the best clip that it tried on top of those kept before it, and what that gains on the same "
    "validation rows, on which it was picked."
)
CAPTION_OF_FRONT = (
    "Points that no other beats: none {as_good} with fewer parameters. Measured on validation rows. Of equal "
    "scores the one with fewer parameters counts, for the winner too."
)


def tasks_table(winner: Winner | None) -> Table:
    """What the winner scores on each of several tasks; no rows where there is one task."""
    return Table(
        name="tasks",
        title="The winner by task",
        caption=CAPTION_OF_TASKS,
        columns=(
            *(
                "task",
                "% of the score",
                "may lose",
                "metric",
                "on validation",
                "untouched",
                "on test",
                "untouched on test",
            ),
        ),
        rows=[_task_row(each) for each in (() if winner is None else winner.by_task)],
    )


def _task_row(scores: TaskScores) -> tuple[str | None, ...]:
    task, test = scores.task, scores.test_scores
    return (
        task.name,
        f"{100 * task.share:.3g}",
        None if task.lose_at_most is None else f"{task.lose_at_most:g}",
        in_words(task.metric),
        f"{scores.score:.4f}",
        f"{scores.baseline_score:.4f}",
        *((None, None) if test is None else (f"{test[0]:.4f}", f"{test[1]:.4f}")),
    )


def winners_table(standings: Standings, metric: str) -> Table:
    """The winner of each shots and module."""
    gained = METRICS[metric].gained
    words = unit_of(gained).words
    kinds = any(clip.kind != DEFAULT_KIND for each in standings.winners.values() for clip in each.point.clips)
    return Table(
        name="winners",
        title="Winners",
        caption=CAPTION_OF_WINNERS.format(unit=words if METRICS[metric].of_text else f"{words} of {gained}"),
        columns=(
            *("shots", "module", *["kind"] * kinds, "layer", "clip rate"),
            *(f"{_column(metric)} on validation", "untouched", *_gain_columns(metric), "gain on", "in words"),
        ),
        rows=[_winner_row(shots, module, each, kinds=kinds) for (shots, module), each in standings.winners.items()],
    )


def _winner_row(shots: int, module: str, winner: Winner, *, kinds: bool) -> tuple[str | int | None, ...]:
    clips = winner.point.clips
    return (
        *(shots, module, *[join_kinds(clips)] * kinds),
        label_place(clips),
        label_rates(clips),
        _score(winner.point.metric, winner.score),
        _score(winner.point.metric, winner.baseline_score),
        *_gain_cells(winner.gain),
        winner.gain.split,
        judge_winner(winner).short,
    )


def _column(metric: str) -> str:
    """The heading of ``_score``."""
    return in_words(metric) + " / perplexity" * METRICS[metric].of_text


def _score(metric: str, score: float) -> str:
    """A score in a narrow column: ``0.7480``, or ``3.1528 / 23.40``."""
    return f"{score:.4f}" + (f" / {perplexity_words(score)}" if METRICS[metric].of_text else "")


def steps_table(steps: Sequence[StepGain], metric: str) -> Table:
    """The steps of a composition that have ended."""
    return Table(
        name="steps",
        title="Steps of the composition",
        caption=CAPTION_OF_STEPS,
        columns=("shots", "step", "best of the step", "tried", "kept", in_words(metric), *_gain_columns(metric)),
        rows=[
            (
                *(each.shots, each.number, describe_clips(each.clips), each.tried, "yes" if each.kept else "no"),
                *(score_words(each.metric, each.score), *_gain_cells(each.gain)),
            )
            for each in steps
        ],
    )


def front_table(front: Sequence[Rated], winner: Winner | None, metric: str) -> Table:
    """The Pareto front."""
    return Table(
        name="front",
        title="Pareto front",
        caption=CAPTION_OF_FRONT.format(as_good="is as good" if METRICS[metric].lower_is_better else "scores as much"),
        columns=("point", f"{in_words(metric)} on validation", "parameters kept", "winner"),
        rows=[
            (
                *(describe_point(each.point), score_words(metric, each.score), each.parameters),
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
    numbers, metric = {}, winner.point.metric
    if winner.test_scores is not None:
        numbers["test"] = (f"{winner.test_scores[0]:.4f}", score_words(metric, winner.test_scores[1]))
    numbers["validation"] = (
        f"{winner.score:.4f}{_spread(winner.spread)}",
        f"{score_words(metric, winner.baseline_score)}{_spread(winner.baseline_spread)}",
    )
    return numbers


def perplexities_of(winner: Winner) -> Mapping[str, str]:
    """By split what stands below the winner's score on the card: of text the perplexity, else nothing."""
    if not METRICS[winner.point.metric].of_text:
        return {}
    tested = {} if winner.test_scores is None else {"test": winner.test_scores[0]}
    scores = {"validation": winner.score, **tested}
    return {split: f"perplexity {perplexity_words(score)}" for split, score in scores.items()}


def _spread(spread: float | None) -> str:
    return "" if spread is None else f" ± {spread:.4f}"


def _gain_columns(metric: str) -> tuple[str, str, str]:
    """The columns of ``_gain_cells``."""
    return f"{unit_of(METRICS[metric].gained).words} gained", "95 % interval", "p"


def _gain_cells(gain: Gain) -> tuple[str, str, str]:
    """A gain in its unit, its interval and its p-value."""
    unit = unit_of(gain.metric)
    return unit.number(gain.estimate), unit.interval(gain.low, gain.high), f"{gain.p_value:.2g}"
