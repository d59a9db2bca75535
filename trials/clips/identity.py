"""A trial's identity: a hash of what determines its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

IDENTITY_VERSION = 1


def trial_id(spec: TrialSpec, card: ModelCard, task_fingerprint: str) -> str:
    """The identity of a trial: 32 hexadecimal digits.

    Two specs that leave the same ranks in the same matrices are one trial, and every spec that leaves all matrices at
    full rank is the baseline. Without demonstrations their seed does not count.

    Raises:
        SpecError: The model does not have what a clip names.
    """
    return identify(spec.prompt_set, resolve(spec.clips, card).fingerprint, card, task_fingerprint)


def identify(prompt_set: PromptSet, clips: Fingerprint, card: ModelCard, task_fingerprint: str) -> str:
    """The identity of the trial on these prompts whose clips have this fingerprint; see ``trial_id``."""
    content = {
        "identity_version": IDENTITY_VERSION,
        "model": card.fingerprint,
        "dtype": card.dtype,
        "task": task_fingerprint,
        "shots": prompt_set.shots,
        "demo_seed": prompt_set.demo_seed if prompt_set.shots else None,
        "split": prompt_set.split,
        "ranks": clips,  # the key under which version 1 hashes it
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
