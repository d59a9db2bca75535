"""Errors by number of examples, and what clips did to them, in a line for each checkpoint."""

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


def errors_table(numbers: Numbers) -> Table:
    """Errors of least squares and of each checkpoint, a column for each number of examples."""
    least_squares = numbers["solvers"]["least_squares"]["mean"]
    rows = [["least squares", *map(_shown, least_squares)]]
    rows += [[f"{found['step']:,} steps", *map(_shown, found["untouched"]["mean"])] for found in numbers["checkpoints"]]
    return Table(
        name="figure5-errors",
        title="Error by number of examples",
        caption=f"Normalised squared error, means over {numbers['settings']['n_prompts']:,} prompts.",
        columns=("examples", *map(str, range(len(least_squares)))),
        rows=rows,
    )


def _shown(error: float) -> str:
    return f"{error:.3f}"


def clips_table(numbers: Numbers) -> Table | None:
    """The table of a run's numbers; None where no checkpoint was clipped."""
    dims = numbers["settings"]["n_dims"]["stop"]
    rows = [_row(found, span, dims) for found in numbers["checkpoints"] if found["clips"] for span in SPANS]
    if not rows:
        return None
    return Table(name="figure5-clips", title="What clips do to the error", caption=CAPTION, columns=COLUMNS, rows=rows)


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
