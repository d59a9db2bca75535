"""One evaluation: which prompts, which clips, and what a replica is handed."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.resolved import ResolvedClips

VALIDATION, TEST = SPLITS = ("validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Which prompts: what trials must agree on to share them.

    Attributes:
        shots: Demonstrations; 0 or more.
        demo_seed: Seed that draws them.
        split: ``"validation"`` or ``"test"``.
        task: Name of the task; empty where there is one alone.
    """

    shots: int
    demo_seed: int
    split: str
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One evaluation: a model with some matrices clipped, on one split of a task.

    Attributes:
        model: Checkpoint as the user named it: a folder, a hub name, or ``"embedded"``.
        task: Name of the task.
        shots: Demonstrations in the prompt; 0 or more.
        demo_seed: Seed that draws the demonstrations.
        split: ``"validation"`` or ``"test"``.
        clips: One clip in the paper's sweeps, several in joint searches, none for the baseline.
    """

    model: str
    task: str
    shots: int
    demo_seed: int
    split: str
    clips: tuple[Clip, ...] = ()

    def __post_init__(self) -> None:
        """Refuse negative shots, unknown splits, and clips that share a matrix."""
        if self.shots < 0:
            raise SpecError(f"shots is {self.shots}; expected 0 or more demonstrations.")
        if self.split not in SPLITS:
            raise SpecError(unknown_name("split", self.split, SPLITS))
        taken: set[tuple[int, str]] = set()
        for clip in self.clips:
            matrices = {(clip.layer, role) for role in MODULES[clip.module]}
            if taken & matrices:
                raise SpecError(
                    f"layer {clip.layer} {clip.module} is clipped twice in one trial; expected each matrix once. "
                    f"Drop one of the clips that share a matrix."
                )
            taken |= matrices

    @property
    def prompt_set(self) -> PromptSet:
        """Which prompts the trial reads."""
        return PromptSet(shots=self.shots, demo_seed=self.demo_seed, split=self.split, task=self.task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial with its identity, as it is handed to a replica.

    Attributes:
        trial_id: Its identity.
        spec: What is evaluated.
        resolved: The effect of its clips on the study's model.
        rows: First row of the split and the one after the last, where a race evaluates it in parts; None for all.
    """

    trial_id: str
    spec: TrialSpec
    resolved: ResolvedClips
    rows: tuple[int, int] | None = None
