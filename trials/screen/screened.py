"""What is screened, and what a screen says. Values alone, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet

LEAST_ROWS, DEFAULT_ROWS = 50, 100
LEAST_GROUPS = 10  # whose spread says how sure the prefix's part is
FORMULA_NAME = "first_order"  # of the function that ``formula.py`` predicts with


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRequest:
    """What is to be screened.

    Attributes:
        prompt_set: The prompts.
        clips: Each alone; of the kind ``svd``.
        rows: How many of the split's rows: the last in its seeded order, so that a race, which begins with the first,
            tells something else. All where the split has fewer.
    """

    prompt_set: PromptSet
    clips: tuple[Clip, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What clips, each alone, are predicted to do to the margins of some rows.

    Attributes:
        request: What was screened.
        ranks: For each clip the ranks that it leaves in the matrices that it changes.
        margins: Of the untouched model: the gold label's log-likelihood less the best other's, natural log. Shape
            ``(rows,)``, float32.
        groups: For each row the number of its group. What clips do through the prefix is known for a group as a
            whole, and is spread evenly over its rows. Without a prefix each row is a group.
        changes: Predicted change of each row's margin, shape ``(clips, rows)``, float32; 0 where a clip leaves the
            model as it is. Of several clips together the changes add up, in first order.
        formula: By which they were predicted.
        operations: Floating-point operations by the cost model.
        seconds: Wall time.
    """

    request: ScreenRequest
    ranks: tuple[tuple[int, ...], ...]
    margins: NDArray[np.float32]
    groups: tuple[int, ...]
    changes: NDArray[np.float32]
    formula: str
    operations: int
    seconds: float
