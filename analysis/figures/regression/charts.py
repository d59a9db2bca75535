"""Charts of in-context linear regression: the paper's Figure 5, and what clips add to the error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clipsweep.analysis.drawing.chart import Axis, Chart, Heat, Level, Line, Mark, Panel

Numbers = Mapping[str, Any]  # of figure5.json, or a part of it
SPANS = {"few": "fewer than d examples", "many": "d examples or more"}
CURVES_CAPTION = (
    "Normalised squared error (M(P) - w·x)²/d of a transformer of {blocks} blocks and width {width}, trained on linear "
    "regression in context with d = {dims}: a mean over {prompts} prompts that training has not seen. Always to say "
    "zero has 1. Left: after all {steps} training steps, beside least squares. Right: after fewer."
)
CLIPS_CAPTION = (
    "What a clip adds to the error, by the number of examples, d = {dims}; below zero it helps. Of each checkpoint the "
    "clip of one block, module and rate that did best at few examples, and at many: chosen on {prompts} prompts, drawn "
    "on {prompts} others. Bars are standard errors of the change over the same prompts."
)
ATLAS_CAPTION = (
    "By how much each clip lowers the error (blue) or raises it (orange): means over examples, d = {dims}, on the "
    "{prompts} prompts that no clip was chosen by. Grey: the change is within two of its standard errors. Colours end "
    "at {limit:.2g}; a cell may be worse than that. Rows: block, counted from 0, and module."
)


def regression_chart(numbers: Numbers) -> Chart:
    """The paper's Figure 5: error by number of examples, beside least squares, and by number of training steps."""
    checkpoints, solvers = numbers["checkpoints"], numbers["solvers"]
    last = _curve("transformer", checkpoints[-1]["untouched"])
    least_squares = _curve("least squares", solvers["least_squares"], dashed=True)
    zero = Level(y=1.0, name="always zero")
    return Chart(
        name="figure5",
        title="In-context linear regression",
        caption=CURVES_CAPTION.format(**_facts(numbers)),
        panels=[
            _panel(numbers, "5a: after training", [zero, least_squares, last]),
            _panel(
                numbers,
                "5b: after fewer steps",
                [zero, *(_curve(f"{each['step']:,} steps", each["untouched"]) for each in checkpoints)],
            ),
        ],
    )


def clipped_chart(numbers: Numbers) -> Chart | None:
    """What the best clips add to the error, a panel for each checkpoint that was clipped; None where none was."""
    clipped = [found for found in numbers["checkpoints"] if found["clips"]]
    if not clipped:
        return None
    return Chart(
        name="figure5-clips",
        title="What the best clips add to the error",
        caption=CLIPS_CAPTION.format(**_facts(numbers)),
        panels=[_clipped_panel(numbers, found) for found in clipped],
    )


def atlas_chart(numbers: Numbers) -> Chart | None:
    """How much each clip lowers the error at few and at many examples, a panel for each checkpoint and for both."""
    clipped = [found for found in numbers["checkpoints"] if found["clips"]]
    if not clipped:
        return None
    lowered = [-clip["report"][span]["mean"] for found in clipped for clip in found["clips"] for span in SPANS]
    limit = max(max(lowered), 0.01)
    return Chart(
        name="figure5-atlas",
        title="What each clip does to the error",
        caption=ATLAS_CAPTION.format(limit=limit, **_facts(numbers)),
        panels=[_heat(found, span, limit) for found in clipped for span in SPANS],
    )


def clip_name(clip: Numbers) -> str:
    """A clip in words: ``mlp of block 2 at 0.9``."""
    return f"{clip['module']} of block {clip['layer']} at {clip['clip_rate']:g}"


def _facts(numbers: Numbers) -> dict[str, Any]:
    """What captions say of a run."""
    settings = numbers["settings"]
    return {
        "blocks": settings["n_blocks"],
        "width": settings["width"],
        "dims": settings["n_dims"]["stop"],
        "prompts": f"{settings['n_prompts']:,}",
        "steps": f"{numbers['checkpoints'][-1]['step']:,}",
    }


def _panel(numbers: Numbers, title: str, marks: Sequence[Mark]) -> Panel:
    return Panel(title=title, x=_examples(numbers), y=Axis(title="squared error / d", low=0.0), marks=marks)


def _examples(numbers: Numbers) -> Axis:
    return Axis(title=f"examples in the prompt (d = {numbers['settings']['n_dims']['stop']})")


def _curve(name: str, curve: Numbers, *, dashed: bool = False) -> Line:
    means = curve["mean"]
    return Line(x=list(range(len(means))), y=means, name=name, dashed=dashed, marked=False)


def _clipped_panel(numbers: Numbers, found: Numbers) -> Panel:
    """What is best at few and at many examples: one line where it is the same clip."""
    chosen: dict[int, list[str]] = {}
    for span, number in found["chosen"].items():
        chosen.setdefault(number, []).append(span)
    lines = [_added(found["clips"][number], spans) for number, spans in chosen.items()]
    return Panel(
        title=f"after {found['step']:,} steps",
        x=_examples(numbers),
        y=Axis(title="added to squared error / d"),
        marks=[Level(y=0.0, name="untouched"), *lines],
    )


def _added(clip: Numbers, spans: Sequence[str]) -> Line:
    added = clip["added"]
    return Line(
        x=list(range(len(added["mean"]))),
        y=added["mean"],
        name=f"{clip_name(clip)} (best at {' and '.join(spans)})",
        spread=added["standard_error"],
    )


def _heat(found: Numbers, span: str, limit: float) -> Panel:
    """Every clip of a checkpoint: a row for each block and module, a column for each rate."""
    rates = sorted({clip["clip_rate"] for clip in found["clips"]})
    rows: dict[str, list[Numbers]] = {}
    for clip in found["clips"]:
        rows.setdefault(f"{clip['layer']} {clip['module']}", []).append(clip["report"][span])
    names = tuple(reversed(rows))
    columns = tuple(f"{rate:g}" for rate in rates)
    return Panel(
        title=f"after {found['step']:,} steps, {SPANS[span]}",
        x=Axis(title="clip rate", kind="category", categories=columns),
        y=Axis(title="block, module", kind="category", categories=names),
        marks=[
            Heat(
                x=columns,
                y=names,
                z=[[max(-each["mean"], -limit) for each in rows[name]] for name in names],
                muted=[[abs(each["mean"]) <= 2 * each["standard_error"] for each in rows[name]] for name in names],
                name="error lowered by",
                texts=[
                    [f"{-each['mean']:+.4f} ± {each['standard_error']:.4f}" for each in rows[name]] for name in names
                ],
            )
        ],
    )
