"""What a screen says. Values alone, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.spec.clip import Clip

LEAST_ROWS, DEFAULT_ROWS = 50, 100
LEAST_GROUPS = 10  # whose spread says how sure the prefix's part is


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What clips, each alone, are predicted to do to the margins of some rows.

    Attributes:
        clips: What was screened.
        margins: Of the untouched model: the gold label's log-likelihood less the best other's, natural log. Shape
            ``(rows,)``, float32; the first rows of the split's seeded order.
        groups: For each row the number of its group. What clips do through the prefix is known for a group as a
            whole, and is spread evenly over its rows. Without a prefix each row is a group.
        changes: Predicted change of each row's margin, shape ``(clips, rows)``, float32; 0 where a clip leaves the
            model as it is. Of several clips together the changes add up, in first order.
        formula: By which they were predicted.
        operations: Floating-point operations by the cost model.
        seconds: Wall time.
    """

    clips: tuple[Clip, ...]
    margins: NDArray[np.float32]
    groups: tuple[int, ...]
    changes: NDArray[np.float32]
    formula: str
    operations: int
    seconds: float
