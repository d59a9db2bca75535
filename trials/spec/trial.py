"""The values that travel between driver and replicas: clips, trials and their results.

All are frozen and checked when built. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Literal

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.scores.tally import Scores, Tally
from clipsweep.trials.tasks.definition import TaskDefinition

ATTENTION, MLP = "attention", "mlp"  # the two parts of a block
ATTENTION_ROLES = ("q", "k", "v", "o")
MLP_ROLES = ("up", "gate", "down", "fc_in", "fc_out")
MODULES: dict[str, tuple[str, ...]] = {
    "attn": ATTENTION_ROLES,
    "mlp": MLP_ROLES,
    "all": ATTENTION_ROLES + MLP_ROLES,
    **{role: (role,) for role in ATTENTION_ROLES + MLP_ROLES},
}
CLIP_KINDS = ("svd",)
SPLITS = ("validation", "test")
PAPER, RELEASE = "paper", "release"
Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One edit of the model: which matrices lose their small singular values, and how many.

    Attributes:
        layer: Decoder block, counted from 0.
        module: Group of matrices clipped together: a key of ``MODULES``, e.g. ``"mlp"`` or ``"q"``.
        clip_rate: Fraction of singular values dropped, in ``[0, 1)``; 0 leaves the weights alone.
        kind: How the kept part is formed; ``"svd"`` is the exact truncated SVD of the original weights.
    """

    layer: int
    module: str
    clip_rate: float
    kind: str = "svd"

    def __post_init__(self) -> None:
        """Refuse impossible values before any GPU time is spent."""
        if self.layer < 0:
            raise SpecError(f"layer is {self.layer}; expected a block counted from 0. Resolve negative layers first.")
        if self.module not in MODULES:
            raise SpecError(unknown_name("module", self.module, MODULES))
        if not 0.0 <= self.clip_rate < 1.0:
            raise SpecError(
                f"clip_rate is {self.clip_rate}; expected a fraction in [0, 1). "
                f"A rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)."
            )
        if self.kind not in CLIP_KINDS:
            raise SpecError(unknown_name("kind of clip", self.kind, CLIP_KINDS))

    def kept_rank(self, rows: int, cols: int) -> int:
        """Number of singular values left in a ``(rows, cols)`` matrix: half up, never fewer than one."""
        exact = (1 - Decimal(str(self.clip_rate))) * min(rows, cols)
        return max(1, int(exact.to_integral_value(ROUND_HALF_UP)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Which prompts: what trials must agree on to share them.

    Attributes:
        shots: Demonstrations; 0 or more.
        demo_seed: Seed that draws them.
        split: ``"validation"`` or ``"test"``.
    """

    shots: int
    demo_seed: int
    split: str


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
        return PromptSet(shots=self.shots, demo_seed=self.demo_seed, split=self.split)


class TrialState(Enum):
    """How an attempt ended. Members are added, never removed or renamed: old files hold them."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial with its identity, as it is handed to a replica.

    Attributes:
        trial_id: Its identity.
        spec: What is evaluated.
        rows: First row of the split and the one after the last, where a race evaluates it in parts; None for all.
    """

    trial_id: str
    spec: TrialSpec
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What one attempt at a trial gave.

    Attributes:
        trial: The trial, with its identity.
        state: How the attempt ended.
        outcomes: Right or wrong for each example that was evaluated, in the split's seeded order; empty when failed.
        margins: How much higher the gold label of each of those scored than the best other, in the task's unit of
            scores, mostly natural log: above 0 where the answer is right, but for ties.
        tally: What the scores are counted from; None when failed.
        demonstrations: How many were in the prompt, which may be fewer than ``shots``; None when failed.
        operations: Floating-point operations predicted by the cost model; 0 when failed.
        engine_path: Which of the engine's ways ran.
        microbatch: Queries per forward pass; smaller than asked for after running out of memory.
        seconds: Wall time of the evaluation.
        replica: Name of the replica.
        node: Host name.
        device: Torch device, e.g. ``"cpu"`` or ``"cuda:0"``.
        error: Last line of the traceback; None unless failed.
        traceback: All of it, for the trial's log file; None unless failed.
        started_at: UTC.
        finished_at: UTC.
        versions: Version of clipsweep, torch, transformers and ray (None in-process).
    """

    trial: Trial
    state: TrialState
    outcomes: tuple[bool, ...] = ()
    margins: tuple[float, ...] = ()
    tally: Tally | None = None
    demonstrations: int | None = None
    operations: int = 0
    engine_path: str | None = None
    microbatch: int
    seconds: float
    replica: str
    node: str
    device: str
    error: str | None = None
    traceback: str | None = None
    started_at: datetime
    finished_at: datetime
    versions: dict[str, str | None]

    @property
    def scores(self) -> Scores | None:
        """Over the examples that were evaluated; None when failed."""
        return self.tally.scores if self.tally else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which checkpoint to load and how.

    Attributes:
        path: A folder, a hub name ``namespace/name``, or ``"embedded"``.
        dtype: What weights are converted to when loaded.
        revision: Branch, tag or commit of a hub name; None for its default branch.
        allow_bin: Whether pickled weights may be read (by torch's weights-only loader).
    """

    path: str
    dtype: Dtype
    revision: str | None = None
    allow_bin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Which task, which of its rows, and in what order.

    Attributes:
        name: Key of a table of tasks, or the user's own name for ``definition``.
        variant: ``"paper"``: in the words of the paper; ``"release"``: as its released code runs it.
        path: Folder of jsonl, csv or parquet files, or a hub name; None for the task's own source.
        validation_size: Rows of the validation split; None for the task's default.
        test_size: Rows of the test split; None for all there are (or the task's default), 0 for no test.
        demonstrations: Rows set aside for demonstrations; None for the task's default.
        seed: Seed of the splits; None for the variant's default.
        truncate: ``"error"``: a prompt longer than the context is refused; ``"demonstrations"``: the last of them are
            left out until every prompt of the split fits.
        definition: A task of the user's own.
    """

    name: str
    variant: str = PAPER
    path: str | None = None
    validation_size: int | None = None
    test_size: int | None = None
    demonstrations: int | None = None
    seed: int | None = None
    truncate: str = "error"
    definition: TaskDefinition | None = None
