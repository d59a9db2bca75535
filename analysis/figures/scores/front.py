"""Gain against parameters kept, with the points that no other beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Level, Line, Mark, Panel, Symbol
from clipsweep.analysis.figures.words import SUBJECT, Scale, parts_of, percent, scale_of

if TYPE_CHECKING:
    import pandas

CAPTION = (
    "{score} that of the untouched model on validation rows, against the share of the model's parameters that is "
    "kept when clipped matrices are stored as two thin factors. {front}{chance}Star: the best point."
)
FRONT = "front"
FRONT_CAPTION = (
    "Front: the best that so many parameters, or fewer, reach; where a point scores as much as the best with fewer "
    "parameters, it goes through that one. "
)
CHANCE = "Pale dots: what may be chance. "


def front_chart(points: pandas.DataFrame) -> Chart | None:
    """A panel for each task, model and number of demonstrations: every complete point, and the Pareto front.

    Args:
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where all points keep the same number of parameters.
    """
    complete = points[points["score"].notna() & points["baseline"].notna()]
    parts = [
        (title, part)
        for title, part in parts_of(complete.sort_values("shots", kind="stable"), [*SUBJECT, "shots"])
        if part["parameters_kept"].nunique() > 1
    ]
    if not parts:
        return None
    scale = scale_of(points)
    panels = [_panel(title, part, scale) for title, part in parts]
    has_front = any(isinstance(mark, Line | Dots) and mark.name == FRONT for each in panels for mark in each.marks)
    caption = CAPTION.format(front=FRONT_CAPTION * has_front, chance=CHANCE * scale.has_noise, score=scale.score_above)
    return Chart(name="front", title="Gain against parameters kept", caption=caption, panels=panels)


def front_of(points: pandas.DataFrame, scale: Scale | None = None) -> pandas.DataFrame:
    """The points that no other beats: fewest parameters first, each better than those before; of equals the first."""
    rated = points.assign(goodness=(scale or scale_of(points)).goodness(points["score"]))
    ordered = rated.sort_values(["parameters_kept", "goodness"], ascending=[True, False], kind="stable")
    before = ordered["goodness"].cummax().shift(fill_value=float("-inf"))
    return ordered[ordered["goodness"] > before].drop(columns="goodness")


def _panel(title: str, part: pandas.DataFrame, scale: Scale) -> Panel:
    kept, above = part["parameters_kept"] / part["parameters_total"], scale.above(part["score"], part["baseline"])
    part = part.assign(kept=kept, above=above)
    best = part[part["is_best"]].sort_values("score", ascending=scale.of.lower_is_better).head(1)
    marks: list[Mark] = [
        Level(y=0.0, name="untouched model"),
        *(dots for each in scale.by_chance(part[~part["is_baseline"]]) for dots in _dots(scale, *each)),
        *_front(front_of(part, scale), best, scale),
        *_dots(scale, best, "best", "best", "star"),
    ]
    return Panel(
        title=title or str(part["task"].iloc[0]),
        x=Axis(title="parameters kept", percent=True),
        y=scale.gain_axis(),
        marks=marks,
    )


def _front(front: pandas.DataFrame, best: pandas.DataFrame, scale: Scale) -> list[Line] | list[Dots]:
    """The front as steps; one point alone is a dot, and nothing where the star is over it."""
    if len(front) == 1:
        return _dots(scale, front.drop(best.index, errors="ignore"), FRONT, "front")
    x, y = front["kept"].tolist(), scale.shown(front["above"])
    return [Line(x=x, y=y, name=FRONT, color="front", steps=True, texts=_texts(front, scale))]


def _dots(scale: Scale, part: pandas.DataFrame, name: str, color: str, symbol: Symbol = "dot") -> list[Dots]:
    """Some points, if there are any."""
    x, y = part["kept"].tolist(), scale.shown(part["above"])
    return [Dots(x=x, y=y, name=name, color=color, symbol=symbol, texts=_texts(part, scale))] if x else []


def _texts(part: pandas.DataFrame, scale: Scale) -> list[str]:
    shown = zip(part["label"], part["kept"], part["score"], part["above"], strict=True)
    return [
        f"{label}: keeps {percent(kept)}, {scale.score(score)}, {scale.gain(above)}"
        for label, kept, score, above in shown
    ]
