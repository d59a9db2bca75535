"""A point of a study's space: what is clipped, and which trials answer for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND

BEST_MEAN, ONE_STANDARD_ERROR = "best_mean", "one_standard_error"
FEWEST_OF_EQUALS = "fewest_of_equals"  # of studies with two objectives: their winner is on the Pareto front


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTask:
    """One of several tasks in the score of a point.

    Attributes:
        name: Of the task.
        share: Of its score in the point's; the shares of a point sum to 1, and a task of share 0 is a guard alone.
        n_trials: How many of the point's trials are on it, one after the other: one for each demonstration seed.
        metric: Column of scores that it is judged by.
        lose_at_most: By how much a winner may be worse than its baseline on it; None where it is no guard.
    """

    name: str
    share: float
    n_trials: int
    metric: str
    lose_at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a study's space, and the trials that answer it.

    Attributes:
        clips: What is clipped; nothing for a baseline point.
        shots: Demonstrations in the prompt.
        trial_ids: Validation trial of each demonstration seed, in the study's order; of several tasks those of the
            first, then those of the next.
        baseline_ids: Their baselines.
        test_ids: The trials on the test split; empty where the task has none.
        baseline_test_ids: Their baselines.
        metric: Column of scores that it is judged by: one of ``trials.scores.metrics.METRICS``.
        rule: How the winner is picked among its like: by ``BEST_MEAN`` the first of equals, by
            ``FEWEST_OF_EQUALS`` of equals the one with the fewest parameters, or by ``ONE_STANDARD_ERROR`` the one with
            the fewest that is no more than one standard error behind the best.
        can_win: Whether it is among those that the winner is picked from; what a composition tried and did not keep is
            not.
        tasks: Those in its score, where there are several; else none.
    """

    clips: tuple[Clip, ...]
    shots: int
    trial_ids: tuple[str, ...]
    baseline_ids: tuple[str, ...]
    test_ids: tuple[str, ...] = ()
    baseline_test_ids: tuple[str, ...] = ()
    metric: str = "accuracy"
    rule: str = BEST_MEAN
    can_win: bool = True
    tasks: tuple[ScoredTask, ...] = ()

    @property
    def single(self) -> Clip | None:
        """The clip, where there is one alone."""
        return self.clips[0] if len(self.clips) == 1 else None

    @property
    def place(self) -> str | None:
        """Its layers, where its clips are one, or those of a range: ``layer 4`` or ``layers 20-27``; else None."""
        if len(runs_of(self.clips)) != 1:
            return None
        return f"layer{'s' * (len(self.clips) > 1)} {label_layers(self.clips)}"

    @property
    def modules(self) -> str | None:
        """The clipped module, or several joined by ``+``; None for a baseline point."""
        return join_modules(self.clips)


def join_modules(clips: Iterable[Clip]) -> str | None:
    """The clipped module, or several joined by ``+``; None for no clips."""
    return "+".join(sorted({clip.module for clip in clips})) or None


def join_kinds(clips: Iterable[Clip]) -> str | None:
    """The kind of clip with its options, or several joined by ``+``; None for no clips."""
    return "+".join(dict.fromkeys(clip.of_kind.words for clip in clips)) or None


def common_rate(clips: Iterable[Clip]) -> float | None:
    """The clip rate that all clips share; None for no clips, for several rates, and where a rate has no meaning."""
    rates = {clip.told_rate for clip in clips}
    return rates.pop() if len(rates) == 1 else None


def label_rates(clips: Sequence[Clip]) -> str | None:
    """The clip rate of each run of clips, in short: ``0.95``, or ``0.95, 0.5``; None for no clips.

    Among others a kind whose rate has no meaning is ``none``; None where there are only such.
    """
    rates = [run[0].told_rate for run in runs_of(clips)]
    if all(rate is None for rate in rates):
        return None
    return ", ".join("none" if rate is None else f"{rate:g}" for rate in rates)


def describe_clips(clips: Iterable[Clip]) -> str:
    """Name what is clipped: ``mlp of layer 4 at clip rate 0.95``, several joined by ``and``; empty for no clips.

    Layers that follow each other and are clipped alike are one: ``mlp of layers 20 to 27 at clip rate 0.95``. A kind is
    named where it is not the usual one, with its options.
    """
    return " and ".join(map(_describe_run, runs_of(clips)))


def label_place(clips: Iterable[Clip]) -> str:
    """The layers of each run of clips, in short: ``4``, or ``4, 20-27``; ``untouched`` for no clips."""
    return ", ".join(map(label_layers, runs_of(clips))) or "untouched"


def label_layers(run: Sequence[Clip]) -> str:
    """The layers of clips that follow each other, in short: ``4``, or ``20-27``."""
    first, last = run[0].layer, run[-1].layer
    return str(first) if first == last else f"{first}-{last}"


def runs_of(clips: Iterable[Clip]) -> list[list[Clip]]:
    """Clips that differ in their layer alone, one after the other, together; by the first of each, as they come."""
    runs: list[list[Clip]] = []
    for clip in clips:
        before = [run for run in runs if run[-1].layer + 1 == clip.layer and replace(run[-1], layer=clip.layer) == clip]
        if before:
            before[0].append(clip)
        else:
            runs.append([clip])
    return runs


def _describe_run(clips: Sequence[Clip]) -> str:
    first, last = clips[0], clips[-1]
    kind = "" if first.kind == DEFAULT_KIND else f" ({first.of_kind.words})"
    layers = f"layer {first.layer}" if first is last else f"layers {first.layer} to {last.layer}"
    rate = "" if first.told_rate is None else f" at clip rate {first.told_rate:g}"
    return f"{first.module} of {layers}{rate}{kind}"


def describe_point(point: Point) -> str:
    """Name a point: ``mlp of layer 4 at clip rate 0.95, 10 shots``, or the untouched model."""
    clips = describe_clips(clip for clip in point.clips if not clip.is_idle)
    return f"{clips or 'the untouched model'}, {describe_shots(point.shots)}"


def describe_shots(shots: int) -> str:
    """How many demonstrations: ``0 shots``, ``1 shot``."""
    return f"{shots} shot{'s' * (shots != 1)}"


def group_points(points: Sequence[Point]) -> dict[tuple[int, str], list[Point]]:
    """Points by shots and module, in that order; a baseline point competes in each group of its shots."""
    modules = sorted({point.modules for point in points if point.modules is not None})
    groups: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        for module in modules if point.modules is None else [point.modules]:
            groups.setdefault((point.shots, module), []).append(point)
    return dict(sorted(groups.items()))
