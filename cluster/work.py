"""What goes to a replica and what comes back: its settings, its batches, its answers. Values alone, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from clipsweep.trials.clips.spectrum import Place
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import Trial
from clipsweep.trials.tasks.settings import TaskSettings

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    """All that a replica needs to load its model and rows on any node.

    Attributes:
        model: The checkpoint.
        task: The task and its rows.
        model_fingerprint: What the driver's copy of the checkpoint hashes to; the replica's must be equal.
        task_fingerprint: The same for the task.
        theory: Whether trials measure the paper's implicit updates as well.
        others: Further tasks that trials may be on, each with its fingerprint.
        cache: Folder for factors, conversions and rows.
        verify_hashes: Whether all files of the model are read, whatever is remembered of their hashes.
        threads: CPU threads of each matrix product.
        activation_bytes: What captured activations may take; None for a measured share of what is free.
        sharers: Replicas that may share a node's memory.
        gpus: GPUs of the replica: a share of one, or so many that the model is spread over.
        starts: Where the study's trials start; none while its layers have yet to be chosen.
    """

    model: ModelSettings
    task: TaskSettings
    model_fingerprint: str
    task_fingerprint: str
    cache: Path
    threads: int
    verify_hashes: bool = False
    activation_bytes: int | None = None
    sharers: int = 1
    gpus: float = 1
    starts: tuple[Start, ...] = ()
    theory: bool = False
    others: tuple[tuple[TaskSettings, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Trials that share activations, run one after the other by one replica.

    Attributes:
        trials: In the order they run.
        microbatch: Queries per forward pass; of a trial that is continued, as many as its parts before had.
        expected_s: What they will take, told from others; None while that is not known.
    """

    trials: tuple[Trial, ...]
    microbatch: int
    expected_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NormsRequest:
    """Trials whose demonstrations are measured by the paper's theory, and that are not scored.

    Attributes:
        trials: Of one prompt set, in the order they are measured.
        microbatch: Queries per forward pass with which such prompts are scored.
    """

    trials: tuple[Trial, ...]
    microbatch: int


Look = Place | ScreenRequest | NormsRequest  # what scores nothing: singular values, a screen, norms of demonstrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Value]):
    """What a replica in a process of its own sends back to the driver.

    Attributes:
        value: What the call returned.
        warnings: Texts that the replica has logged since its last answer, oldest first.
    """

    value: Value
    warnings: tuple[str, ...] = ()
