"""The steps of a study whose points are composed: what each tried, kept and gained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from clipsweep.analysis.compare.step_gain import StepGain
from clipsweep.analysis.winners.point import describe_clips, describe_shots
from clipsweep.analysis.winners.scores import mean_score
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.space.composition import ComposeStep, Composition
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import gain_words, unit_of


def step_gains(snapshot: Snapshot) -> list[StepGain]:
    """Every step that has ended with a best, in order; none of another driver, or while layers are pending."""
    opened = snapshot.opened
    if not opened.is_composed or opened.pending is not None:
        return []
    return [gain for each in opened.compositions(snapshot.rows) for gain in _gains_of(snapshot, each)]


def _gains_of(snapshot: Snapshot, composition: Composition) -> Iterator[StepGain]:
    for number, step in enumerate(composition.steps, start=1):
        if step.best is not None and step.gain is not None:
            yield _gain_of(snapshot, number, step, step.best, step.gain)


def _gain_of(snapshot: Snapshot, number: int, step: ComposeStep, best: Choice, gain: float) -> StepGain:
    opened = snapshot.opened
    point, before = make_points(opened.space, [best, step.before], opened.subject)
    return StepGain(
        shots=best.shots,
        number=number,
        clips=tuple(clip for clip in best.clips if clip not in step.before.clips),
        tried=len(step.tried),
        kept=step.kept,
        metric=opened.space.metric,
        score=mean_score(point.trial_ids, snapshot.rows, opened.space.metric, point.tasks) or 0.0,
        metric_gain=gain,
        comparison=snapshot.standings.compare(point.trial_ids, before.trial_ids, point.tasks),
    )


def describe_steps(snapshot: Snapshot) -> list[str]:
    """For each number of shots how many steps kept a clip, and a line for each of those; none of another driver."""
    lines = []
    for shots, ended in groupby(step_gains(snapshot), key=lambda step: step.shots):
        steps = list(ended)
        kept = [step for step in steps if step.kept]
        lines.append(f"steps     {describe_shots(shots)}: {len(kept)} of {counted(len(steps), 'step')} kept a clip")
        lines += [f"  {step.number:>3}  {_describe(step)}" for step in kept]
    return lines


def _describe(step: StepGain) -> str:
    gain = step.gain
    words = "" if METRICS[step.metric].tells_gains else f"{step.metric} {step.metric_gain:+.4f}, "
    return (
        f"{describe_clips(step.clips)}: {words}{gain_words(gain.metric, gain.estimate)} on {gain.split} "
        f"(95 % interval {unit_of(gain.metric).interval(gain.low, gain.high)})"
    )
