"""What rows store of every example, unpacked: a matrix with a row per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import unpack_margins, unpack_outcomes
from clipsweep.trials.base.errors import StudyError

if TYPE_CHECKING:
    import pandas


def outcomes(frame: pandas.DataFrame) -> NDArray[np.bool_]:
    """Right or wrong for each example.

    Args:
        frame: Trials that have all seen the same number of examples: of one split, and complete.

    Returns:
        Shape ``(n_trials, n_examples)``, in the order of the frame and of the split.

    Raises:
        StudyError: Trials of different numbers of examples, or of texts, or no such columns.
    """
    count = _examples(frame, "outcomes")
    if count and not all(frame["outcomes"].map(len)):
        raise StudyError(
            "the trials scored texts, which are not right or wrong; expected trials of a task with answers. Their "
            "likelihoods are in the columns loglikelihoods and tokens."
        )
    unpacked = [unpack_outcomes(packed, count) for packed in frame["outcomes"]]
    return np.array(unpacked, dtype=bool).reshape(len(frame), count)


def margins(frame: pandas.DataFrame) -> NDArray[np.float64]:
    """How far the right label was ahead in each example, in the task's unit of scores.

    Args:
        frame: As for ``outcomes``.

    Returns:
        Shape ``(n_trials, n_examples)``; NaN in the rows of trials that have none, as they failed or are older.

    Raises:
        StudyError: Trials of different numbers of examples, or no such columns.
    """
    count = _examples(frame, "margins")
    unpacked = [np.full(count, np.nan) if _is_none(packed) else unpack_margins(packed) for packed in frame["margins"]]
    return np.array(unpacked, dtype=float).reshape(len(frame), count)


def _examples(frame: pandas.DataFrame, column: str) -> int:
    """How many examples all trials of a frame have seen."""
    missing = [name for name in (column, "n_examples") if name not in frame.columns]
    if missing:
        raise StudyError(f"the frame has no column {missing[0]!r}; expected one of trials, as clipsweep.load gives it.")
    counts = sorted({int(count) for count in frame["n_examples"]})
    if len(counts) > 1:
        raise StudyError(
            f"the trials have seen {counts[0]} to {counts[-1]} examples; expected as many in each, to make one matrix. "
            f"Keep those of one split that are complete: frame[(frame.split == 'validation') & "
            f"(frame.state == 'complete')]."
        )
    return counts[0] if counts else 0


def _is_none(packed: Any) -> bool:
    return not isinstance(packed, bytes)
