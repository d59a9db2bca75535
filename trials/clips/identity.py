"""A trial's identity: a hash of what determines its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

IDENTITY_VERSION = 1
RANKS = "ranks"  # the key under which version 1 hashes the fingerprint of the clips


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
    return Identities(card, task_fingerprint).of(prompt_set, clips)


class Identities:
    """Identities of trials of one model and task; what many have in common is written out once."""

    def __init__(self, card: ModelCard, task_fingerprint: str) -> None:
        """Take the model and the task."""
        self._card = card
        self._task_fingerprint = task_fingerprint
        self._around: dict[PromptSet, tuple[str, str]] = {}
        self._last: tuple[Fingerprint | None, str] = None, ""  # seeds of one point are asked for one after the other

    def of(self, prompt_set: PromptSet, clips: Fingerprint) -> str:
        """The identity of the trial on these prompts whose clips have this fingerprint; see ``trial_id``."""
        around = self._around.get(prompt_set)
        if around is None:
            around = self._around[prompt_set] = self._lay_out(prompt_set)
        last, text = self._last
        if clips is not last:
            text = json.dumps(clips)
            self._last = clips, text
        content = text.join(around)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _lay_out(self, prompt_set: PromptSet) -> tuple[str, str]:
        """What is hashed, before and after the fingerprint of the clips."""
        content = {
            "identity_version": IDENTITY_VERSION,
            "model": self._card.fingerprint,
            "dtype": self._card.dtype,
            "task": self._task_fingerprint,
            "shots": prompt_set.shots,
            "demo_seed": prompt_set.demo_seed if prompt_set.shots else None,
            "split": prompt_set.split,
            RANKS: None,
        }
        before, _, after = json.dumps(content, sort_keys=True).partition(f'"{RANKS}": null')
        return f'{before}"{RANKS}": ', after
