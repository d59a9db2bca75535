"""Singular values of a model's matrices, and the condition numbers by which layers are ranked. Loads without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from clipsweep.trials.base.errors import SpecError, unknown_name

Place = tuple[int, str]  # layer and role; several matrices where a layer holds experts
Conditions = Mapping[Place, tuple[float, ...]]  # condition numbers of the matrices at each place
COMBINATIONS: dict[str, Callable[[Sequence[float]], float]] = {"max": max, "mean": fmean, "min": min}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSpectrum:
    """All singular values of one matrix, as the model holds it before any clip.

    Attributes:
        layer: Decoder block, counted from 0.
        role: Of the matrix in its block, e.g. ``"q"``.
        parameter: Name of the parameter that holds it, as in ``model.named_parameters()``.
        expert: Index along the first axis of a parameter that holds all experts of a mixture; None elsewhere.
        rows: Outputs, as in ``nn.Linear``.
        cols: Inputs.
        singular_values: ``min(rows, cols)`` of them, largest first, in float32.
        condition_number_float64: As ``condition_number``, of singular values computed in float64; None where they were
            not.
        entry_std: Standard deviation of the matrix's entries; None where it was not measured.
    """

    layer: int
    role: str
    parameter: str
    expert: int | None
    rows: int
    cols: int
    singular_values: tuple[float, ...]
    condition_number_float64: float | None = None
    entry_std: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot be those of such a matrix."""
        values = self.singular_values
        count = min(self.rows, self.cols)
        falling = all(before >= after for before, after in pairwise(values))
        if count < 1 or len(values) != count or not falling or values[-1] < 0 or not math.isfinite(values[0]):
            raise SpecError(
                f"a {self.rows} x {self.cols} matrix cannot have the {len(values)} singular values "
                f"{', '.join(f'{value:g}' for value in values[:3])}…; expected {count} finite ones, none negative, "
                f"largest first. Compute them with clipsweep.trials.clips.factors.compute_singular_values."
            )

    @property
    def place(self) -> Place:
        """Its layer and role."""
        return self.layer, self.role

    @property
    def condition_number(self) -> float:
        """Largest singular value over the smallest; infinite where the smallest is exactly 0, also of a zero matrix.

        Computed in float32, the smallest is known to about ``1e-7`` of the largest: condition numbers beyond some
        ``1e6`` say that the matrix is nearly singular, not how nearly.
        """
        return ratio_of_ends(self.singular_values)


def ratio_of_ends(values: Sequence[float]) -> float:
    """Condition number of a matrix with these singular values, largest first; infinite where the last is 0."""
    return values[0] / values[-1] if values[-1] else math.inf


def conditions_of(spectra: Iterable[MatrixSpectrum]) -> dict[Place, tuple[float, ...]]:
    """Condition numbers by place, in the order given."""
    conditions: dict[Place, tuple[float, ...]] = {}
    for spectrum in spectra:
        conditions[spectrum.place] = (*conditions.get(spectrum.place, ()), spectrum.condition_number)
    return conditions


def module_condition(conditions: Conditions, places: Iterable[Place], combination: str = "max") -> float:
    """One number for a module of one layer: the largest condition number among its matrices, their mean or the least.

    Args:
        conditions: Of all its matrices at least.
        places: Where they are.
        combination: ``"max"``, ``"mean"`` (arithmetic; infinite if one is) or ``"min"``.

    Raises:
        SpecError: Another combination.
    """
    if combination not in COMBINATIONS:
        raise SpecError(unknown_name("module_condition", combination, COMBINATIONS))
    return COMBINATIONS[combination]([value for place in places for value in conditions[place]])
