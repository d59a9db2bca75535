"""What clips did in a line for each checkpoint, at few examples and at many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.regression.charts import SPANS, clip_name

SURE = 2.0  # standard errors, on each of the two sets of prompts
COLUMNS = ("steps", "examples", "untouched", "best clip", "change", "±", "lower", "raise", "clips")
CAPTION = (
    "Mean error over numbers of examples. The best clip is chosen on one set of prompts; its change, with the standard "
    "error over the same prompts, is of another. Of all clips, how many lower or raise the error by more than two "
    "standard errors on both sets."
)
Numbers = Mapping[str, Any]


def clips_table(numbers: Numbers) -> Table | None:
    """The table of a run's numbers; None where no checkpoint was clipped."""
    dims = numbers["settings"]["n_dims"]["stop"]
    rows = [_row(found, span, dims) for found in numbers["checkpoints"] if found["clips"] for span in SPANS]
    if not rows:
        return None
    return Table(name="figure5-table", title="What clips do to the error", caption=CAPTION, columns=COLUMNS, rows=rows)


def _row(found: Numbers, span: str, dims: int) -> list[str | float | int | None]:
    means = found["untouched"]["mean"]
    inside = means[1:dims] if span == "few" else means[dims:]
    best = found["clips"][found["chosen"][span]]
    changed = best["report"][span]
    return [
        found["step"],
        SPANS[span],
        round(sum(inside) / len(inside), 4),
        clip_name(best),
        f"{changed['mean']:+.4f}",
        f"{changed['standard_error']:.4f}",
        sum(_is_sure(clip, span, -1) for clip in found["clips"]),
        sum(_is_sure(clip, span, 1) for clip in found["clips"]),
        len(found["clips"]),
    ]


def _is_sure(clip: Numbers, span: str, sign: int) -> bool:
    """Whether a clip changes the error in this direction, beyond chance on both sets of prompts."""
    return all(
        sign * clip[name][span]["mean"] > SURE * clip[name][span]["standard_error"] for name in ("choose", "report")
    )
