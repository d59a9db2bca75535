"""The answer of a study in words: its winner, its Pareto front."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence

from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR, describe_point
from clipsweep.analysis.winners.scores import by_task, mean_score, state_of
from clipsweep.analysis.winners.several import Barred, TaskScores
from clipsweep.analysis.winners.standings import Standings, Winner
from clipsweep.analysis.winners.verdict import judge_winner
from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.space.subject import TaskFacts
from clipsweep.orchestrator.status.status import read_stored
from clipsweep.trials.base.errors import counted
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.scores.metrics import METRICS, NLL
from clipsweep.trials.scores.shown import against_words, allowance_words, gain_words, loss_words, score_words, unit_of
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION

NO_WINNER = "no winner yet: it needs a complete baseline and one more complete trial"
SIGMAS = 2  # by which an accuracy must exceed chance


def describe_winner(standings: Standings, notes: Sequence[str] = ()) -> str:
    """The winner, its baseline and its gain, in three lines, and what should be known beside them."""
    winner = standings.winner
    if winner is None or winner.is_alone:
        return NO_WINNER
    point, metric = winner.point, winner.point.metric
    picked = "fewest parameters near the best of" if point.rule == ONE_STANDARD_ERROR else "best of"
    if standings.picked_from_some:
        picked = "composed from"
    among = f"{counted(winner.considered_points, 'point')} ({_describe_trials(standings)})"
    score = _score(metric, winner.score, winner.spread)
    baseline = _score(metric, winner.baseline_score, winner.baseline_spread)
    return "\n".join(
        [
            f"winner    {describe_point(point)}: {score} on validation, {picked} {among}",
            f"baseline  the untouched model, same shots: {baseline} on validation",
            f"gain      {_describe_gain(winner)}",
            *([f"scores    {mean_words(winner)}"] if winner.by_task else []),
            *(f"task      {_describe_task(each)}" for each in winner.by_task),
            *(f"note      {note}" for note in notes),
        ]
    )


def _describe_task(scores: TaskScores) -> str:
    """What a winner scores on one of several tasks: ``rte (a third of the score): accuracy 0.55 against 0.56``."""
    task, test = scores.task, scores.test_scores
    guard = "" if task.lose_at_most is None else f", guard: may lose {allowance_words(task.metric, task.lose_at_most)}"
    on_test = "" if test is None else "; {:.4f} against {:.4f} on test".format(*test)
    return (
        f"{task.name} ({100 * task.share:.3g} % of the score{guard}): {task.metric} {scores.score:.4f} against "
        f"{scores.baseline_score:.4f} on validation{on_test}"
    )


def mean_words(winner: Winner) -> str:
    """What a score over several tasks is: ``weighted mean of accuracy on sst2 and rte, 2 : 1``."""
    counting = [task for task in winner.point.tasks if task.share > 0]
    if len(counting) == 1:
        return f"{winner.point.metric} of {counting[0].name}; the other tasks are guards alone"
    least = min(task.share for task in counting)
    weights = " : ".join(f"{task.share / least:.3g}" for task in counting)
    return f"weighted mean of {winner.point.metric} on {' and '.join(task.name for task in counting)}, {weights}"


def _describe_trials(standings: Standings) -> str:
    """What a winner was picked from: ``61 trials, 57 stopped early``; trials without a score are told after them."""
    trial_ids = {trial_id for point in standings.points for trial_id in point.trial_ids}
    states = Counter(state_of(trial_id, standings.rows) for trial_id in trial_ids)
    scored = sum(count for state, count in states.items() if state is not None and state.has_scores)
    words = [counted(scored, "trial")]
    words += [f"{states[TrialState.PRUNED]:,} stopped early"] if states[TrialState.PRUNED] else []
    words += [f"{states[TrialState.FAILED]:,} more failed"] if states[TrialState.FAILED] else []
    return ", ".join(words)


def _score(metric: str, score: float, spread: float | None) -> str:
    beside = "" if spread is None else f" ± {spread:.4f} over demonstration seeds"
    return f"{metric} {score_words(metric, score)}{beside}"


def _describe_gain(winner: Winner) -> str:
    """The gain with its interval and what it means; where another metric judges, what both score by it."""
    metric = winner.point.metric
    verdict = judge_winner(winner)
    words = f"{word_gain(winner.gain, winner.test_scores_of_gain)}: {verdict.short}"
    if METRICS[metric].tells_gains or winner.test_scores is None:
        return words
    return f"{words}; {metric} on test " + "{:.4f} against {:.4f}".format(*winner.test_scores)


def word_gain(gain: Gain, scores: tuple[float, float] | None) -> str:
    """A gain in words, with the scores that it lies between, by the metric that it is measured in, where given."""
    between = f"{against_words(gain.metric, *scores)}, " if scores else ""
    interval = f"95 % interval {unit_of(gain.metric).interval(gain.low, gain.high)}, p = {gain.p_value:.2g}"
    return f"{gain_words(gain.metric, gain.estimate)} on {gain.split} ({between}{interval})"


def study_notes(snapshot: Snapshot) -> list[str]:
    """What should be known beside the answer: that it may change, what a guard barred, what is scored, and chance."""
    return [*_unfinished(snapshot), *_barred(snapshot), *_of_tasks(snapshot), *_at_chance(snapshot)]


def _of_tasks(snapshot: Snapshot) -> list[str]:
    """What is known of the rows of each task, and of what their score is."""
    subject, names = snapshot.opened.subject, [member.name for member in snapshot.opened.study.task.members]
    several = len(names) > 1
    return [f"task {name}: {note}" if several else note for name in names for note in subject.of(name).notes]


def _barred(snapshot: Snapshot) -> list[str]:
    """The better point that breaks a guard, and by how much."""
    winner = snapshot.standings.winner
    return [] if winner is None or winner.barred is None else [barred_words(winner.barred)]


def barred_words(barred: Barred) -> str:
    """That a point scores better, and which guards it breaks by how much."""
    guards = ", and ".join(
        f"loses {loss_words(guard.metric, guard.lost)} of {guard.metric} on task {guard.task}, where "
        f"{allowance_words(guard.metric, guard.lose_at_most)} may be lost"
        for guard in barred.guards
    )
    return f"{describe_point(barred.point)} scores better ({barred.score:.4f} on validation), but {guards}"


def _unfinished(snapshot: Snapshot) -> list[str]:
    """That the winner may change."""
    return [f"{note}, and the winner may change" for note in so_far(snapshot)]


def so_far(snapshot: Snapshot) -> list[str]:
    """That the study has not come to its end; one that has ended with as many trials is not counted anew."""
    end = read_end(snapshot.opened.folder)
    if end is not None and end.trials == len(snapshot.rows):
        return []
    stored = read_stored(snapshot)
    over = stored["done"] + stored["pruned"]
    if stored["state"] != "interrupted" or over == stored["total"]:  # of rows alone no end is known
        return []
    return [
        f"this is the answer so far, after {over:,} of {counted(stored['total'], 'trial')}: the study has not come to "
        f"its end"
    ]


def _at_chance(snapshot: Snapshot) -> list[str]:
    """That the untouched model does no better than chance."""
    winner, subject = snapshot.standings.winner, snapshot.opened.subject
    if winner is None:
        return []
    if not winner.by_task:
        return _of_chance(winner.point.baseline_ids, snapshot, subject.first)
    point, counting = winner.point, [task.share > 0 for task in winner.point.tasks]
    parts = zip(point.tasks, by_task(point.baseline_ids, point.tasks), counting, strict=True)
    found = [(task.name, _of_chance(ids, snapshot, subject.of(task.name))) for task, ids, counts in parts if counts]
    return [f"on task {name} {note}" for name, notes in found for note in notes]


def _of_chance(baseline_ids: Sequence[str], snapshot: Snapshot, facts: TaskFacts) -> list[str]:
    """The same of the trials of one task."""
    if METRICS[snapshot.opened.space.metric].of_text:
        return _of_any_token(baseline_ids, snapshot)
    known = facts.most_common | facts.guessing  # a task has one of the two, or none
    if VALIDATION not in known:
        return []
    share, n_rows = known[VALIDATION], facts.split_sizes[VALIDATION]
    accuracy = mean_score(baseline_ids, snapshot.rows, "accuracy") or 0.0
    if accuracy - SIGMAS * math.sqrt(share * (1 - share) / n_rows) > share:
        return []
    how = "guessing" if VALIDATION in facts.guessing else "always giving the most common answer"
    return [
        f"the untouched model's accuracy of {accuracy:.4f} is that of chance: {how} has {share:.4f} on these "
        f"{counted(n_rows, 'row')}. Which clip wins then says little; look at a prompt with 'clipsweep task show', or "
        f"take a larger model"
    ]


def _of_any_token(baseline_ids: Sequence[str], snapshot: Snapshot) -> list[str]:
    """The same of text: that its tokens are no likelier than any token of the vocabulary is by chance."""
    size = snapshot.opened.subject.card.vocabulary_size
    nll = mean_score(baseline_ids, snapshot.rows, NLL)
    if nll is None or nll < math.log(size):
        return []
    return [
        f"the untouched model's {nll:.4f} nats per token are no better than giving every token the same chance, "
        f"ln {size:,} = {math.log(size):.4f}. Which clip wins then says little; look at a window with 'clipsweep task "
        f"show', or take another model"
    ]


def apply_command(snapshot: Snapshot) -> str | None:
    """The command that writes the winner as a checkpoint; None while there is no winner but the untouched model."""
    winner, opened = snapshot.standings.winner, snapshot.opened
    if winner is None or not resolve(winner.point.clips, opened.subject.card).edits:
        return None
    return shlex.join(["clipsweep", "apply", str(opened.folder), "-o", f"{opened.study.name}-clipped"])


def describe_front(standings: Standings) -> str:
    """The Pareto front, a line for each of its points."""
    front = pareto_front(rate_points(standings.points, standings.rows))
    lines = [
        f"  {score_words(each.point.metric, each.score)}  {each.parameters:>13,}  {describe_point(each.point)}"
        for each in front
    ]
    return "\n".join(["front     score, parameters kept, point (on validation)", *lines])
