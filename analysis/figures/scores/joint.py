"""What the best points clip, where points have clips in several places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Heat, Level, Line, Mark, Panel, Symbol
from clipsweep.analysis.figures.words import SUBJECT, Scale, parts_of, scale_of

if TYPE_CHECKING:
    import pandas

    from clipsweep.trials.spec.clip import Clip

BEST_SHARE, FEWEST_BEST = 0.1, 10  # of the points: the best tenth, but no fewer than these
STOPPED_CAPTION = (
    "Open circles: points that were stopped early, as they are expected to score on all rows; the best are those that "
    "have seen the most rows, then those that gain most. "
)
CAPTION = (
    "First panel: {score} that of the untouched model on validation rows, by the number of places that a point "
    "clips. {chance}{line}{stopped}Second panel: the share of the best {count} points that clips each layer and "
    "module, and in the cell the median clip rate at which they do, where it has a meaning. A search returns to what "
    "did well, so the best points resemble each other: a cell says where the search went, not that this clip alone "
    "helps."
)
CHANCE_CAPTION = "Pale dots may be chance. "
LINE_CAPTION = "The line goes through the best complete point of each number. "


def joint_chart(points: pandas.DataFrame) -> Chart | None:
    """For each task, model and number of demonstrations a panel of gains by number of clips, and one of places.

    Args:
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where no point that has scores clips several places.
    """
    scale = scale_of(points)
    above = scale.above(points["score"].fillna(points["estimate"]), points["baseline"])
    seen = points.assign(above=above, places=[len(_acting(clips)) for clips in points["clips"]])
    seen = seen[seen["above"].notna() & ~seen["is_baseline"]]
    parts = [
        (title, part)
        for title, part in parts_of(seen.sort_values("shots", kind="stable"), [*SUBJECT, "shots"])
        if (part["place"].isna() & (part["places"] > 1)).any()
    ]
    if not parts:
        return None
    counts = sorted({len(best_of(part)) for _, part in parts})
    count = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    panels = [panel for title, part in parts for panel in (_by_number(title, part, scale), _by_place(title, part))]
    return Chart(
        name="joint",
        title="What the best points clip",
        caption=CAPTION.format(
            count=count,
            score=scale.score_above.lower(),
            chance=CHANCE_CAPTION * scale.has_noise,
            line=LINE_CAPTION * any(isinstance(mark, Line) for panel in panels for mark in panel.marks),
            stopped=STOPPED_CAPTION * bool(seen["score"].isna().any()),
        ),
        panels=panels,
        columns=2,
    )


def best_of(part: pandas.DataFrame) -> pandas.DataFrame:
    """The best tenth of some points, but no fewer than ten, as far as there are.

    Those that have seen the most rows come first, as a race stops what falls behind, then those that gain most.
    """
    count = max(FEWEST_BEST, round(BEST_SHARE * len(part)))
    return part.sort_values(["n_examples", "above"], ascending=False, kind="stable").head(count)


def _acting(clips: tuple[Clip, ...]) -> list[Clip]:
    """The clips that do something."""
    return [clip for clip in clips if not clip.is_idle]


def _by_number(title: str, part: pandas.DataFrame, scale: Scale) -> Panel:
    """Gains by the number of places that are clipped."""
    complete, stopped = part[part["score"].notna()], part[part["score"].isna()]
    best = complete.loc[complete.groupby("places")["above"].idxmax()]
    marks: list[Mark] = [
        Level(y=0.0, name="untouched model"),
        *_dots(scale, stopped, "estimated from fewer rows", "faint", "circle-open"),
        *(dots for each in scale.by_chance(complete) for dots in _dots(scale, *each)),
        *_line(best, scale),
        *_dots(scale, _best_complete(complete, scale), "best", "best", "star"),
    ]
    numbers = range(part["places"].min(), part["places"].max() + 1)
    return Panel(
        title=f"{title}: " * bool(title) + "gain by number of places",
        x=Axis(title="places clipped", kind="category", categories=tuple(map(str, numbers))),
        y=scale.gain_axis(),
        marks=marks,
    )


def _line(best: pandas.DataFrame, scale: Scale) -> list[Line]:
    """Through the best of each number, where there are two or more."""
    x, y = _numbers(best), scale.shown(best["above"])
    name, texts = "best of its number", _texts(best, scale)
    return [Line(x=x, y=y, name=name, color="front", texts=texts)] if len(x) > 1 else []


def _best_complete(complete: pandas.DataFrame, scale: Scale) -> pandas.DataFrame:
    """The best of all modules, in a frame of its own."""
    return complete[complete["is_best"]].sort_values("score", ascending=scale.of.lower_is_better).head(1)


def _dots(scale: Scale, part: pandas.DataFrame, name: str, color: str, symbol: Symbol = "dot") -> list[Dots]:
    """Some points, if there are any."""
    y = scale.shown(part["above"])
    return [Dots(x=_numbers(part), y=y, name=name, color=color, symbol=symbol, texts=_texts(part, scale))] if y else []


def _numbers(part: pandas.DataFrame) -> list[str]:
    """How many places points clip, as the axis has it."""
    return [str(number) for number in part["places"]]


def _texts(part: pandas.DataFrame, scale: Scale) -> list[str]:
    return [f"{label}: {scale.gain(above)}" for label, above in zip(part["label"], part["above"], strict=True)]


def _by_place(title: str, part: pandas.DataFrame) -> Panel:
    """Where the best points clip, and at which rate."""
    best = best_of(part)
    acting: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    for clips in best["clips"]:
        for clip in _acting(clips):
            acting[clip.layer, clip.module].append(clip)
    tried = [(clip.layer, clip.module) for clips in part["clips"] for clip in clips]
    layers, modules = sorted({layer for layer, _ in tried}), sorted({module for _, module in tried})
    found = [[acting.get((layer, module), []) for module in modules] for layer in layers]
    share = [[len(each) / len(best) for each in row] for row in found]
    return Panel(
        title=f"{title}: " * bool(title) + "where the best clip, and at which rate",
        x=Axis(title="module", kind="category", categories=tuple(modules)),
        y=Axis(title="layer", kind="category", categories=tuple(map(str, layers))),
        marks=[
            Heat(
                x=modules,
                y=[str(layer) for layer in layers],
                z=share,
                name=f"share of the best {len(best)} points",
                centered=False,
                percent=True,
                low=0.0,
                labels=[
                    [f"{np.median(rates):.3g}" if (rates := _rates(each)) else "" for each in row] for row in found
                ],
                texts=[
                    [
                        f"{module} of layer {layer}: clipped by {len(each)} of {len(best)}"
                        + (f", at clip rates {min(rates):.3g} to {max(rates):.3g}" if (rates := _rates(each)) else "")
                        for module, each in zip(modules, row, strict=True)
                    ]
                    for layer, row in zip(layers, found, strict=True)
                ],
            )
        ],
    )


def _rates(clips: Iterable[Clip]) -> list[float]:
    """The clip rates that have a meaning."""
    return [clip.told_rate for clip in clips if clip.told_rate is not None]
