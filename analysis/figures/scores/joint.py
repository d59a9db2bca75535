"""What the best points clip, where points have clips in several places."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Heat, Level, Line, Mark, Panel
from clipsweep.analysis.figures.words import SUBJECT, in_points, in_words, metric_of, parts_of

if TYPE_CHECKING:
    import pandas

    from clipsweep.trials.spec.clip import Clip

BEST_SHARE, FEWEST_BEST = 0.1, 10  # of the points: the best tenth, but no fewer than these
CAPTION = (
    "Left: score above that of the untouched model on validation rows of each complete point, by the number of places "
    "that it clips; pale dots may be chance, the line goes through the best of each number. Right: the share of the "
    "best {count} points that clips each layer and module, and in the cell the median clip rate at which they do. "
    "A search returns to what did well, so the best points resemble each other: a cell says where the search went, not "
    "that this clip alone helps."
)


def joint_chart(points: pandas.DataFrame) -> Chart | None:
    """For each task, model and number of demonstrations a panel of gains by number of clips, and one of places.

    Args:
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where no complete point clips several places.
    """
    complete = points[points["score"].notna() & points["baseline"].notna() & ~points["is_baseline"]]
    complete = complete.assign(places=[len(_acting(clips)) for clips in complete["clips"]])
    parts = [
        (title, part)
        for title, part in parts_of(complete.sort_values("shots", kind="stable"), [*SUBJECT, "shots"])
        if (part["place"].isna() & (part["places"] > 1)).any()
    ]
    if not parts:
        return None
    metric = metric_of(points)
    counts = sorted({len(best_of(part)) for _, part in parts})
    count = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    panels = [panel for title, part in parts for panel in (_by_number(title, part, metric), _by_place(title, part))]
    return Chart(
        name="joint",
        title="What the best points clip",
        caption=CAPTION.format(count=count),
        panels=panels,
        columns=2,
    )


def best_of(part: pandas.DataFrame) -> pandas.DataFrame:
    """The best tenth of some complete points, but no fewer than ten, as far as there are."""
    count = max(FEWEST_BEST, round(BEST_SHARE * len(part)))
    return part.sort_values("score", ascending=False, kind="stable").head(count)


def _acting(clips: tuple[Clip, ...]) -> list[Clip]:
    """The clips that do something."""
    return [clip for clip in clips if not clip.is_idle]


def _by_number(title: str, part: pandas.DataFrame, metric: str) -> Panel:
    """Gains by the number of places that are clipped."""
    part = part.assign(above=part["score"] - part["baseline"])
    best = part.loc[part.groupby("places")["above"].idxmax()]
    star = part[part["is_best"]].sort_values("score", ascending=False).head(1)
    marks: list[Mark] = [Level(y=0.0, name="untouched model")]
    for name, color, chosen in (
        ("may be chance", "faint", part[part["within_noise"]]),
        ("beyond chance", "complete", part[~part["within_noise"]]),
    ):
        marks.append(_dots(chosen, name, color))
    marks.append(
        Line(
            x=best["places"].tolist(),
            y=best["above"].tolist(),
            name="best of its number",
            color="front",
            texts=_texts(best),
        )
    )
    marks.append(_dots(star, "best", "best", star=True))
    return Panel(
        title=title,
        x=Axis(title="places clipped"),
        y=Axis(title=f"gain in {in_words(metric)}", percent=True),
        marks=marks,
    )


def _dots(part: pandas.DataFrame, name: str, color: str, *, star: bool = False) -> Dots:
    x, y = part["places"].tolist(), part["above"].tolist()
    return Dots(x=x, y=y, name=name, color=color, symbol="star" if star else "dot", texts=_texts(part))


def _texts(part: pandas.DataFrame) -> list[str]:
    return [f"{label}: {in_points(above)}" for label, above in zip(part["label"], part["above"], strict=True)]


def _by_place(title: str, part: pandas.DataFrame) -> Panel:
    """Where the best points clip, and at which rate."""
    best = best_of(part)
    rates: dict[tuple[int, str], list[float]] = defaultdict(list)
    for clips in best["clips"]:
        for clip in _acting(clips):
            rates[clip.layer, clip.module].append(clip.clip_rate)
    tried = [(clip.layer, clip.module) for clips in part["clips"] for clip in clips]
    layers, modules = sorted({layer for layer, _ in tried}), sorted({module for _, module in tried})
    found = [[rates.get((layer, module), []) for module in modules] for layer in layers]
    share = [[len(each) / len(best) for each in row] for row in found]
    return Panel(
        title=title,
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
                labels=[[f"{np.median(each):.3g}" if each else "" for each in row] for row in found],
                texts=[
                    [
                        f"{module} of layer {layer}: clipped by {len(each)} of {len(best)}"
                        + (f", at clip rates {min(each):.3g} to {max(each):.3g}" if each else "")
                        for module, each in zip(modules, row, strict=True)
                    ]
                    for layer, row in zip(layers, found, strict=True)
                ],
            )
        ],
    )
