"""Score against clip rate, a line for each layer: the paper's Figures 1 and 2, for any study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipsweep.analysis.drawing.chart import (
    Axis,
    Band,
    Chart,
    ColorBar,
    Dots,
    Level,
    Line,
    Mark,
    Panel,
)
from clipsweep.analysis.figures.words import SUBJECT, Scale, parts_of, percent, rate_words, scale_of
from clipsweep.analysis.winners.interval import Z

if TYPE_CHECKING:
    import pandas

ALL_LABELLED = 6  # up to so many lines have a label each
BEST_LABELLED = 3  # of more lines, besides the first and the last layer
PUBLISHED_LABELLED = 2
STAR, NOISE_NAME, ESTIMATED = "best", "may be chance", "estimated from fewer rows"
TOLD = ["place", "clip_rate", "score", "shown", "gain", "within_noise", "state"]  # what a pointer shows is made of
CAPTION = (
    "Score on validation rows against clip rate, a line for each layer that is clipped alone, its depth on the colour "
    "bar. Dashed: the untouched model. "
)
LESS_CAPTION = "The score is the mean negative log-likelihood of a token, of which less is better. "
NOISE_CAPTION = (
    "Grey band: differences from it that may be chance (1.96 standard errors of the paired difference over the same "
    "rows, median over the points of the panel). "
)


@dataclass(frozen=True, slots=True)
class _Look:
    """What all panels of a chart have in common: clip rates as words, if they are few, and the layers."""

    rates: list[str] | None
    bar: ColorBar
    scale: Scale
    published: pandas.DataFrame | None

    def x(self, rates: Sequence[float]) -> list[float | str]:
        """Clip rates as the axis has them."""
        return [rate if self.rates is None else f"{rate:g}" for rate in rates]


def curve_chart(points: pandas.DataFrame, published: pandas.DataFrame | None = None) -> Chart | None:
    """Figure 1: a panel for each task, model, module and kind of clip, at the most demonstrations that have a curve.

    Args:
        points: As ``clipsweep.points`` gives them; those of several clips have no place but for ranges of layers.
        published: As ``load_published`` gives them, drawn dotted in the panels of their task and module.

    Returns:
        None where no layer has scores at two clip rates.
    """
    shots = points["shots"].where(_has_curve(points))
    most = shots.groupby([points[name] for name in SUBJECT], dropna=False).transform("max")
    return _chart("figure1", "Score against clip rate", points[points["shots"] == most], published)


def shots_chart(points: pandas.DataFrame) -> Chart | None:
    """Figure 2: Figure 1 with a row of panels for each number of demonstrations; None where there is one."""
    shots = points["shots"].where(_has_curve(points))
    several = shots.groupby([points[name] for name in SUBJECT], dropna=False).transform("nunique") > 1
    if not several.any():
        return None
    return _chart("figure2", "Score against clip rate, by demonstrations", points[several], None)


def _has_curve(points: pandas.DataFrame) -> pandas.Series[bool]:
    """Whether a point is on a curve: its layer, or range of layers, has scores or estimates at two clip rates."""
    rates = points["clip_rate"].where(points["score"].notna() | points["estimate"].notna())
    curve = [points[name] for name in (*SUBJECT, "shots", "kind", "module", "place")]
    return points["place"].notna() & (rates.groupby(curve, dropna=False).transform("nunique") > 1)


def _chart(name: str, title: str, points: pandas.DataFrame, published: pandas.DataFrame | None) -> Chart | None:
    clipped = points[points["place"].notna() & points["clip_rate"].notna()]
    groups = [
        (words, part)
        for words, part in parts_of(clipped.sort_values("shots", kind="stable"), _columns(name))
        if _has_curve(part).any()
    ]
    if not groups:
        return None
    clipped = clipped.loc[[index for _, part in groups for index in part.index]]
    scale = scale_of(points)
    if published is not None:
        published = _comparable(published, clipped) if scale.is_accuracy else None
    layers = clipped["layer"]
    look = _Look(
        rate_words([*clipped["clip_rate"], *(() if published is None else published["clip_rate"])]),
        ColorBar(title="layer", low=float(layers.min()), high=float(layers.max())),
        scale,
        published,
    )
    panels = [_panel(words or str(part["module"].iloc[0]), part, look) for words, part in groups]
    across = len({panel.title for panel in panels}) if name == "figure1" else clipped["module"].nunique()
    return Chart(
        name=name,
        title=title,
        caption=_caption(clipped, panels, scale),
        panels=panels,
        columns=max(1, min(across, 2 if name == "figure1" else 3)),
        color_bar=look.bar,
    )


def _columns(name: str) -> list[str]:
    """What panels differ in; of Figure 2 each row has one number of demonstrations."""
    return [*SUBJECT, "kind", "module"] if name == "figure1" else ["shots", *SUBJECT, "kind", "module"]


def _comparable(published: pandas.DataFrame, clipped: pandas.DataFrame) -> pandas.DataFrame | None:
    """The published curves of these tasks and modules; None where there are none."""
    wanted = (
        published["task"].isin(clipped["task"])
        & published["module"].isin(clipped["module"])
        & (published["split"] == "validation")
    )
    return published[wanted] if wanted.any() else None


def _panel(title: str, part: pandas.DataFrame, look: _Look) -> Panel:
    """The curves of the points of one panel."""
    baseline = float(part["baseline"].median())
    marks: list[Mark] = []
    if baseline == baseline:  # or it is not complete yet
        marks = [*_noise_band(part, baseline, look), Level(y=baseline, name="untouched model")]
    lines = _lines(part, look)
    marks += [*lines, *_published_lines(part, look), *_estimates(lines), *_star(part, look)]
    words = () if look.rates is None else tuple(look.rates)
    return Panel(
        title=title,
        x=Axis(title="clip rate", kind="category" if words else "linear", categories=words),
        y=look.scale.axis(f"validation {look.scale.words}"),
        marks=marks,
    )


def _noise_band(part: pandas.DataFrame, baseline: float, look: _Look) -> list[Band]:
    """Around the baseline, where the noise of scores is known and some point differs from it."""
    errors = part.loc[(part["state"] == "complete") & (part["gain_se"] > 0), "gain_se"]
    if not look.scale.has_noise or errors.empty:
        return []
    half = Z * float(errors.median())
    return [Band(low=baseline - half, high=baseline + half, name=NOISE_NAME)]


def _lines(part: pandas.DataFrame, look: _Look) -> list[Line]:
    """A line for each layer or range of layers, from the first."""
    shown = part["score"].fillna(part["estimate"])
    ordered = part.assign(shown=shown).sort_values(["layer", "place", "clip_rate"], kind="stable")
    groups = dict(list(ordered.groupby("place", sort=False)))
    labelled = _labelled(groups, look.scale)
    return [_line(str(place), group, place in labelled, look) for place, group in groups.items()]


def _labelled(groups: dict[Any, pandas.DataFrame], scale: Scale) -> set[Any]:
    """The lines that have a label: all of few; of many the best, the first and the last."""
    places = list(groups)
    if len(places) <= ALL_LABELLED:
        return set(places)
    by_best = sorted(places, key=lambda place: -scale.goodness(groups[place]["shown"]).fillna(float("-inf")).max())
    return {places[0], places[-1], *by_best[:BEST_LABELLED]}


def _line(place: str, group: pandas.DataFrame, is_labelled: bool, look: _Look) -> Line:
    hollow = (group["score"].isna() & group["estimate"].notna()).tolist()
    spreads = group["spread"]
    return Line(
        x=look.x(group["clip_rate"].tolist()),
        y=group["shown"].tolist(),
        name=place,
        color=float(group["layer"].iloc[0]),
        hollow=hollow if any(hollow) else None,
        spread=spreads.tolist() if spreads.notna().any() else None,
        end_label=place if is_labelled else None,
        texts=[_text(row, look.scale) for row in group[TOLD].itertuples()],
        in_legend=False,
    )


def _text(row: Any, scale: Scale) -> str:
    """What a pointer shows at a point: the metric, and the gain, which of answers is one in accuracy in any case."""
    rate = f"{row.place} at clip rate {row.clip_rate:g}"
    metric = "" if scale.is_accuracy else f"{scale.words} "
    gained = "" if scale.has_noise else f"{scale.of_gains.words} "
    if row.shown != row.shown:
        return f"{rate}: {row.state}"
    score = f"{rate}: {metric}{scale.score(row.shown)}"
    if row.score != row.score:
        return f"{score}, {ESTIMATED}"
    if row.gain != row.gain:
        return score
    return f"{score}, {gained}{scale.of_gains.gain(row.gain)}{', may be chance' if row.within_noise else ''}"


def _estimates(lines: Sequence[Line]) -> list[Dots]:
    """The entry of the legend for open circles, where there are some."""
    if not any(line.hollow for line in lines):
        return []
    return [Dots(x=[], y=[], name=ESTIMATED, color="stopped", symbol="circle-open")]


def _star(part: pandas.DataFrame, look: _Look) -> list[Dots]:
    """The best point of the panel's module, where it is one of the panel."""
    best = part[part["is_best"] & part["score"].notna()].head(1)
    texts = [f"best: {_text(row, look.scale)}" for row in best.assign(shown=best["score"])[TOLD].itertuples()]
    x, y = look.x(best["clip_rate"].tolist()), best["score"].tolist()
    return [Dots(x=x, y=y, name=STAR, color="best", symbol="star", texts=texts)] if texts else []


def _published_lines(part: pandas.DataFrame, look: _Look) -> list[Line]:
    """The published curves of a panel's task and module, dotted, the best of them labelled."""
    if look.published is None or (part["kind"] != "svd").any():
        return []
    task, module = part["task"].iloc[0], part["module"].iloc[0]
    same = look.published[(look.published["task"] == task) & (look.published["module"] == module)]
    curves: dict[tuple[str, int], pandas.DataFrame]
    curves = {key: curve.sort_values("clip_rate") for key, curve in same.groupby(["model", "layer"])}
    best = sorted(curves, key=lambda key: -curves[key]["score"].max())[:PUBLISHED_LABELLED]
    return [_published_line(key, curve, key in best, look) for key, curve in curves.items()]


def _published_line(source: tuple[str, int], curve: pandas.DataFrame, is_labelled: bool, look: _Look) -> Line:
    """One published curve, its layer's depth in its own model shown as as deep a colour."""
    model, layer = source
    depth = layer / max(1, int(curve["n_layers"].iloc[0]) - 1)
    return Line(
        x=look.x(curve["clip_rate"].tolist()),
        y=curve["score"].tolist(),
        name=f"published: {model} layer {layer}",
        color=look.bar.low + depth * (look.bar.high - look.bar.low),
        dotted=True,
        marked=False,
        end_label=f"{model} {layer}" if is_labelled else None,
        texts=[
            f"published, {model}, layer {layer} at clip rate {rate:g}: {percent(score)}"
            for rate, score in zip(curve["clip_rate"], curve["score"], strict=True)
        ],
        in_legend=False,
    )


def _caption(clipped: pandas.DataFrame, panels: Sequence[Panel], scale: Scale) -> str:
    """What the figure shows, in sentences, as far as it does."""
    marks = [mark for panel in panels for mark in panel.marks]
    caption = CAPTION + LESS_CAPTION * scale.of.lower_is_better
    if any(isinstance(mark, Band) for mark in marks):
        caption += NOISE_CAPTION
    if any(isinstance(mark, Dots) and mark.symbol == "star" for mark in marks):
        caption += "Star: the best point of its panel's module and number of demonstrations. "
    if any(isinstance(mark, Line) and mark.hollow for mark in marks):
        caption += "Open circles: trials that were stopped early, as they are expected to score on all rows. "
    if any(isinstance(mark, Line) and mark.spread for mark in marks):
        caption += f"Bars: one standard deviation over {clipped['n_seeds'].max()} draws of demonstrations. "
    if any(isinstance(mark, Line) and mark.dotted for mark in marks):
        caption += (
            "Dotted: published by Yao et al. (2024) for GPT-J-6B and LLaMA2-7B, on other rows of the same task; their "
            "colour is the depth of the layer in its own model. A published score far from the others of its curve may "
            "lie outside. "
        )
    shots = sorted(set(clipped["shots"].tolist()))
    return f"{caption}Demonstrations in the prompt: {', '.join(map(str, shots))}."
