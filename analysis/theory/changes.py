"""What each clip changed: norms of the implicit updates, margins and right answers, beside the untouched model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import starmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import unpack_margins, unpack_outcomes
from clipsweep.analysis.row.row import OF_BLOCKS, StoredRow
from clipsweep.analysis.theory.clipped_matrices import NONE, ClippedMatrices
from clipsweep.analysis.theory.quantities import DELTA_W, LEAST_TRIALS, NORMS
from clipsweep.analysis.winners.scores import packed_of, values_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION

CHANGED = 1e-3  # relative change of a norm from which on a block counts as changed: 0.1 %
Logs = tuple[float | None, ...]  # a value for each block


class PromptsOf(NamedTuple):
    """Which prompts a trial saw; its untouched row saw the same."""

    task: str
    shots: int
    demo_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialChange:
    """What one trial changed against the untouched model on the same prompts.

    Attributes:
        trial_id: Of the trial.
        prompts: What it saw.
        clips: What it clips.
        n_examples: Examples that both have seen, from the split's first.
        gain: Change in accuracy over these, a fraction.
        margin: Change of the mean margin over these, in the task's unit of scores; None where rows have none.
        logs: By ``NORMS`` the change of the log of that norm, block by block; None for a block that was not measured.
        quantities: By the names of ``QUANTITIES``; None for what was not measured.
    """

    trial_id: str
    prompts: PromptsOf
    clips: tuple[Clip, ...]
    n_examples: int
    gain: float
    margin: float | None
    logs: Mapping[str, Logs]
    quantities: Mapping[str, float | None]

    @property
    def layer(self) -> int:
        """The shallowest layer that it clips, counted from 0."""
        return min(clip.layer for clip in self.clips)

    @property
    def module(self) -> str:
        """The clipped module, or several joined by ``+``."""
        return "+".join(sorted({clip.module for clip in self.clips}))


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All trials of a study that clip something and have an untouched row of the same prompts.

    Attributes:
        trials: In the order of their rows.
        turned: What each did to each example: 1 for one that only the clipped model answers rightly, -1 for one that
            only the untouched one does, else 0, also beyond ``n_examples``: shape ``(n_trials, most n_examples)``.
        n_blocks: Of the model.
        measured: Validation trials that clip something and whose norms were measured.
        unmeasured: Validation trials that clip something, have scores, demonstrations and no norms.
        without_demonstrations: The same of prompts without demonstrations, which have nothing to measure.
        cut_short: Of ``trials``, those that a race has shown the first rows alone.
        alone: Measured trials that are left out, as the untouched model has no measured row of their prompts.
        seconds: Wall time of all trials that were measured, untouched ones among them.
        theory_seconds: How much of it measuring took.
    """

    trials: tuple[TrialChange, ...]
    turned: NDArray[np.int8]
    n_blocks: int
    measured: int
    unmeasured: int
    without_demonstrations: int
    cut_short: int
    alone: int
    seconds: float
    theory_seconds: float

    @property
    def in_small_sets(self) -> int:
        """Trials on prompts that too few trials share to be ranked."""
        sets = Counter(trial.prompts for trial in self.trials)
        return sum(count for count in sets.values() if count < LEAST_TRIALS)

    @property
    def prompt_sets(self) -> list[PromptsOf]:
        """Those that trials saw, sorted."""
        return sorted({trial.prompts for trial in self.trials})

    @property
    def modules(self) -> list[str]:
        """Those that trials clip, sorted."""
        return sorted({trial.module for trial in self.trials})


class _Seen(NamedTuple):
    """What a row says of its trial; the last three are ``OF_BLOCKS``."""

    trial_id: str
    split: str
    state: TrialState
    task: str
    shots: int
    demo_seed: int
    clips: tuple[Clip, ...]
    n_examples: int
    seconds: float
    theory_seconds: float | None
    delta_w: list[float | None] | None
    softmax: list[float | None] | None
    gradient: list[float | None] | None

    @property
    def prompts(self) -> PromptsOf:
        return PromptsOf(self.task, self.shots, self.demo_seed)

    @property
    def logs(self) -> tuple[list[float | None], ...] | None:
        """Norms by ``NORMS``; None where they were not measured."""
        if self.delta_w is None or self.softmax is None or self.gradient is None:
            return None
        return self.delta_w, self.softmax, self.gradient


class _Answers(NamedTuple):
    """What a row says of the examples, packed until it is asked for."""

    n_examples: int
    packed_outcomes: bytes | None
    packed_margins: bytes | None

    @property
    def outcomes(self) -> NDArray[np.int8]:
        """1 for right, 0 for wrong: shape ``(n_examples,)``."""
        return unpack_outcomes(self.packed_outcomes or b"", self.n_examples).astype(np.int8)

    @property
    def margins(self) -> NDArray[np.float64] | None:
        return None if self.packed_margins is None else unpack_margins(self.packed_margins)


_FIELDS = ("trial_id", "split", "state", "task", "shots", "demo_seed", "clips", "n_examples", "seconds")


def changes_of(
    rows: Mapping[str, StoredRow],
    matrices: ClippedMatrices | None = None,
    untouched: Collection[str] | None = None,
) -> Changes:
    """What each validation trial with scores and measured norms changed against the untouched model.

    Args:
        rows: Latest attempt at each trial of one study, by trial identity.
        matrices: What the singular values say of the clipped matrices; None where they were not measured.
        untouched: Identities of the untouched model's trials; None for those whose clips leave everything as it is.
    """
    seen = list(starmap(_Seen, values_of(rows, (*_FIELDS, "theory_seconds", *OF_BLOCKS))))
    answers = _answers_of(rows, seen)
    scored = [each for each in seen if each.split == VALIDATION and each.state.has_scores]
    base = {each.trial_id for each in scored if _is_untouched(each, untouched)}
    told = [each for each in scored if each.logs is not None]
    baselines = {each.prompts: each for each in told if each.trial_id in base}
    clipped = [each for each in told if each.trial_id not in base]
    missing = [each for each in scored if each.logs is None and each.trial_id not in base]
    paired = [(each, baselines[each.prompts]) for each in clipped if each.prompts in baselines]
    most = max((min(one.n_examples, other.n_examples) for one, other in paired), default=0)
    turned = np.zeros((len(paired), most), dtype=np.int8)
    trials = []
    for number, (one, other) in enumerate(paired):
        after, before = answers[one.trial_id], answers[other.trial_id]
        count = min(one.n_examples, other.n_examples)
        turned[number, :count] = after.outcomes[:count] - before.outcomes[:count]
        margin = _margin_change(after, before, count)
        trials.append(_change(one, other, float(turned[number].sum()) / count, margin, count, matrices))
    return Changes(
        trials=tuple(trials),
        turned=turned,
        n_blocks=max((len(each.delta_w or ()) for each in told), default=0),
        measured=len(clipped),
        unmeasured=sum(each.prompts.shots > 0 for each in missing),
        without_demonstrations=sum(each.prompts.shots == 0 for each in missing),
        cut_short=sum(one.state is not TrialState.COMPLETE for one, _ in paired),
        alone=len(clipped) - len(paired),
        seconds=sum(each.seconds for each in told),
        theory_seconds=sum(each.theory_seconds or 0.0 for each in told),
    )


def log_change(after: float | None, before: float | None) -> float | None:
    """Change of a logarithm; of a zero matrix that stays zero it is 0. None where one of them was not measured."""
    if after is None or before is None:
        return None
    return 0.0 if after == before else after - before


def has_changed(change: float | None) -> bool:
    """Whether a norm changed by more than the share ``CHANGED``."""
    return change is not None and abs(math.expm1(min(change, 1.0))) > CHANGED


def _is_untouched(seen: _Seen, untouched: Collection[str] | None) -> bool:
    if untouched is not None:
        return seen.trial_id in untouched
    return all(clip.is_idle for clip in seen.clips)


def _answers_of(rows: Mapping[str, StoredRow], seen: list[_Seen]) -> dict[str, _Answers]:
    packed = zip(packed_of(rows, "outcomes"), packed_of(rows, "margins"), strict=True)
    return {each.trial_id: _Answers(each.n_examples, *both) for each, both in zip(seen, packed, strict=True)}


def _margin_change(after: _Answers, before: _Answers, count: int) -> float | None:
    """Change of the mean margin over the first examples."""
    one, other = after.margins, before.margins
    return None if one is None or other is None else float(one[:count].mean() - other[:count].mean())


def _change(
    one: _Seen, other: _Seen, gain: float, margin: float | None, count: int, matrices: ClippedMatrices | None
) -> TrialChange:
    assert one.logs is not None, "only measured trials are paired"
    assert other.logs is not None, "with measured baselines"
    logs = {
        name: tuple(starmap(log_change, zip(after, before, strict=True)))
        for name, after, before in zip(NORMS, one.logs, other.logs, strict=True)
    }
    clips = tuple(clip for clip in one.clips if not clip.is_idle)
    rates = [clip.told_rate for clip in clips if clip.told_rate is not None]
    return TrialChange(
        trial_id=one.trial_id,
        prompts=one.prompts,
        clips=clips,
        n_examples=count,
        gain=gain,
        margin=margin,
        logs=logs,
        quantities={
            **{f"sum_{name}": _sum(logs[name]) for name in NORMS},
            **{f"last_{name}": _last(logs[name]) for name in NORMS},
            "blocks_changed": _count_changed(logs[DELTA_W]),
            **(NONE if matrices is None else matrices.of(clips)),
            "clip_rate": sum(rates) / len(rates) if rates else None,
            "layer": float(min(clip.layer for clip in clips)),
        },
    )


def _measured(changes: Logs) -> list[float]:
    return [change for change in changes if change is not None]


def _sum(changes: Logs) -> float | None:
    """Over the blocks that were measured; None where there is none, and where infinities cancel."""
    total = sum(_measured(changes))
    return None if not _measured(changes) or math.isnan(total) else total


def _last(changes: Logs) -> float | None:
    measured = _measured(changes)
    return measured[-1] if measured else None


def _count_changed(changes: Logs) -> float | None:
    return float(sum(map(has_changed, changes))) if _measured(changes) else None
