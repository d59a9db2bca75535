"""The effect of clips on one model: worked out once by the driver, and carried by the trial."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.start import Start

Fingerprint = tuple[tuple[int, str, int | str, str], ...]  # layer, role, what its kind says of a clip, and the kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Matrices that a clip changes: those of one shape, role and layer.

    Attributes:
        layer: Decoder block, counted from 0.
        role: Of the matrices in their block, e.g. ``"fc_in"``.
        shape: Their shape, and how many they are.
        clip: What makes the new ones.
    """

    layer: int
    role: str
    shape: Shape
    clip: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedClips:
    """The clips of a trial, resolved for one model.

    Attributes:
        edits: Matrices that really change; none for the untouched model.
        start: Where the trial starts to differ from the untouched model.
        parameters_kept: Parameters left in the model.
        fingerprint: What the trial's identity hashes of its clips: equal for clips that leave the same model, and
            empty for those that leave it untouched.
    """

    edits: tuple[Edit, ...]
    start: Start
    parameters_kept: int
    fingerprint: Fingerprint
