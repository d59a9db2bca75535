"""What each step of a composition gained, measured on the same examples as what was kept before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.analysis.winners.gain import Comparison, Gain
from clipsweep.trials.spec.clip import Clip


@dataclass(frozen=True, kw_only=True)
class StepGain:
    """A step that has ended, as the best of what it tried.

    Attributes:
        shots: Demonstrations in the prompt: whose composition it is of.
        number: Of the step in it, from 1.
        clips: What the best of the step clips besides what was kept before.
        tried: Choices that it tried.
        kept: Whether the best was kept.
        metric: Column of scores that steps are judged by.
        score: Of the best on validation, averaged over demonstration seeds.
        metric_gain: By how much that is better than the score of what was kept before.
        comparison: The best beside what was kept before.
    """

    shots: int
    number: int
    clips: tuple[Clip, ...]
    tried: int
    kept: bool
    metric: str
    score: float
    metric_gain: float
    comparison: Comparison

    @property
    def gain(self) -> Gain:
        """In accuracy, or of text in nats for each token, with its interval; measured when it is first asked for."""
        return self.comparison.gain

    def document(self) -> dict[str, Any]:
        """An entry of key ``steps`` of ``clipsweep best --json``."""
        return {
            "shots": self.shots,
            "step": self.number,
            "clips": [asdict(clip) for clip in self.clips],
            "tried": self.tried,
            "kept": self.kept,
            "metric": self.metric,
            "score": self.score,
            "metric_gain": self.metric_gain,
            "gain": asdict(self.gain),
        }
