"""What singular values say of the matrices that a clip touches, before the clip: the simpler rivals of the theory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.theory.quantities import OF_GROUP, SPECTRUM
from clipsweep.trials.clips.spectrum import COMBINATIONS, Place
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.shape import kept_of

NONE: Mapping[str, float | None] = dict.fromkeys(OF_GROUP[SPECTRUM])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    """One measured matrix.

    Attributes:
        plain: Its quantities that do not depend on the clip; None for what was not measured.
        head: Share of the squared singular values in the first so many: shape ``(full_rank + 1,)``.
    """

    plain: Mapping[str, float | None]
    head: NDArray[np.float64]

    @classmethod
    def of(cls, record: Record) -> _Matrix:
        squares = np.asarray(record["singular_values"], dtype=np.float64) ** 2
        total = squares.sum()
        head = np.concatenate([[0.0], np.cumsum(squares)]) / total if total else np.ones(len(squares) + 1)
        plain = {
            "condition_number": record["condition_number"],
            "stable_rank": record["stable_rank"],
            "spectral_norm": record["singular_values"][0],
            "signal_ratio": record["entry_snr"],
        }
        return cls(plain=plain, head=head)

    def share_removed(self, clip: Clip) -> float | None:
        """Share of its squared singular values that a clip removes; None of another kind than ``svd``."""
        if clip.kind != DEFAULT_KIND:
            return None
        return float(1 - self.head[kept_of(clip.clip_rate, len(self.head) - 1)])


class ClippedMatrices:
    """What the spectrum file of a model says of clips.

    Attributes:
        combination: What stands for several matrices.
    """

    def __init__(self, spectra: Iterable[Record], places: Collection[Place], combination: str = "max") -> None:
        """Take what was measured.

        Args:
            spectra: Rows of the spectrum file of one model, as plain values.
            places: Every layer and role at which the model has matrices.
            combination: What stands for several matrices: a key of ``COMBINATIONS``.
        """
        self._matrices: dict[Place, list[_Matrix]] = {}
        for record in spectra:
            self._matrices.setdefault((record["layer"], record["role"]), []).append(_Matrix.of(record))
        self._places = frozenset(places)
        self.combination = combination
        self._combine: Callable[[Sequence[float]], float] = COMBINATIONS[combination]
        self._known: dict[tuple[Clip, ...], Mapping[str, float | None]] = {}

    def of(self, clips: tuple[Clip, ...]) -> Mapping[str, float | None]:
        """The quantities of the group ``SPECTRUM``; each None where one of the matrices was not measured."""
        if clips not in self._known:
            self._known[clips] = self._measure(clips)
        return self._known[clips]

    def _measure(self, clips: Sequence[Clip]) -> Mapping[str, float | None]:
        touched = [(clip, place) for clip in clips for place in self._touched(clip)]
        if not touched or any(place not in self._matrices for _, place in touched):
            return NONE
        pairs = [(clip, matrix) for clip, place in touched for matrix in self._matrices[place]]
        told = [{**matrix.plain, "share_removed": matrix.share_removed(clip)} for clip, matrix in pairs]
        return {name: self._combined([each[name] for each in told]) for name in NONE}

    def _touched(self, clip: Clip) -> list[Place]:
        places = ((clip.layer, role) for role in MODULES[clip.module])
        return [place for place in places if place in self._places]

    def _combined(self, values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return self._combine(known) if len(known) == len(values) else None
