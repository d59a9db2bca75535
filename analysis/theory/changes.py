"""What each clip changed: norms of the implicit updates, margins and right answers, beside the untouched model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.theory.clipped_matrices import NONE, ClippedMatrices
from clipsweep.analysis.theory.quantities import LEAST_TRIALS, NORMS, Logs, log_change, quantities_of
from clipsweep.analysis.theory.seen_trials import Answers, PromptsOf, SeenTrial, answers_of, seen_trials
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState


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
        theory_seconds: What measuring took: a part of it, but for trials that were measured after they had been scored.
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
    def cost_share(self) -> float | None:
        """What measuring took as a share of the measured trials' wall time; None where there is none."""
        return self.theory_seconds / self.seconds if self.seconds else None

    @property
    def prompt_sets(self) -> list[PromptsOf]:
        """Those that trials saw, sorted."""
        return sorted({trial.prompts for trial in self.trials})

    @property
    def modules(self) -> list[str]:
        """Those that trials clip, sorted."""
        return sorted({trial.module for trial in self.trials})


class _Pair(NamedTuple):
    """A measured trial, and the untouched model's on the same prompts."""

    clipped: SeenTrial
    untouched: SeenTrial

    @property
    def n_examples(self) -> int:
        """Examples that both have seen, from the split's first."""
        return min(self.clipped.n_examples, self.untouched.n_examples)


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
    seen = seen_trials(rows)
    scored = [each for each in seen if each.is_scored]
    base = {each.trial_id for each in scored if _is_untouched(each, untouched)}
    told = [each for each in scored if each.logs is not None]
    baselines = {each.prompts: each for each in told if each.trial_id in base}
    clipped = [each for each in told if each.trial_id not in base]
    pairs = [_Pair(each, baselines[each.prompts]) for each in clipped if each.prompts in baselines]
    without_norms = [each for each in scored if each.logs is None and each.trial_id not in base]
    answers = answers_of(rows, seen)
    turned = _turned(pairs, answers)
    return Changes(
        trials=tuple(
            _change(pair, float(told_of.sum()) / pair.n_examples, _margin_change(pair, answers), matrices)
            for pair, told_of in zip(pairs, turned, strict=True)
        ),
        turned=turned,
        n_blocks=max((len(each.delta_w or ()) for each in told), default=0),
        measured=len(clipped),
        unmeasured=sum(each.shots > 0 for each in without_norms),
        without_demonstrations=sum(each.shots == 0 for each in without_norms),
        cut_short=sum(pair.clipped.state is not TrialState.COMPLETE for pair in pairs),
        alone=len(clipped) - len(pairs),
        seconds=sum(each.seconds for each in told),
        theory_seconds=sum(each.theory_seconds or 0.0 for each in told),
    )


def _is_untouched(trial: SeenTrial, untouched: Collection[str] | None) -> bool:
    if untouched is not None:
        return trial.trial_id in untouched
    return all(clip.is_idle for clip in trial.clips)


def _turned(pairs: Sequence[_Pair], answers: Mapping[str, Answers]) -> NDArray[np.int8]:
    """As ``Changes.turned``."""
    turned = np.zeros((len(pairs), max((pair.n_examples for pair in pairs), default=0)), dtype=np.int8)
    for row, pair in zip(turned, pairs, strict=True):
        after, before = (answers[each.trial_id].outcomes[: pair.n_examples] for each in pair)
        row[: pair.n_examples] = after - before
    return turned


def _margin_change(pair: _Pair, answers: Mapping[str, Answers]) -> float | None:
    """Change of the mean margin over the examples that both have seen."""
    after, before = (answers[each.trial_id].margins for each in pair)
    if after is None or before is None:
        return None
    return float(after[: pair.n_examples].mean() - before[: pair.n_examples].mean())


def _change(pair: _Pair, gain: float, margin: float | None, matrices: ClippedMatrices | None) -> TrialChange:
    clipped, untouched = pair
    assert clipped.logs is not None, "only measured trials are paired"
    assert untouched.logs is not None, "with measured baselines"
    logs = {
        name: tuple(starmap(log_change, zip(after, before, strict=True)))
        for name, after, before in zip(NORMS, clipped.logs, untouched.logs, strict=True)
    }
    clips = tuple(clip for clip in clipped.clips if not clip.is_idle)
    return TrialChange(
        trial_id=clipped.trial_id,
        prompts=clipped.prompts,
        clips=clips,
        n_examples=pair.n_examples,
        gain=gain,
        margin=margin,
        logs=logs,
        quantities=quantities_of(logs, clips, NONE if matrices is None else matrices.of(clips)),
    )
