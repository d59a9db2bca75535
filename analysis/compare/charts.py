"""Comparisons as charts: one study's scores against another's, a study's gains against the paper's."""

from __future__ import annotations

from collections.abc import Sequence

from clipsweep.analysis.compare.curves import CurvePair, RatePair, Site
from clipsweep.analysis.compare.difference import Difference
from clipsweep.analysis.compare.pair import Pair, PointPair
from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.analysis.compare.studies import SideBySide
from clipsweep.analysis.drawing.chart import Axis, Bars, Chart, Dots, Level, Line, Mark, Panel, Symbol
from clipsweep.analysis.figures.words import Scale, in_points, in_words
from clipsweep.analysis.winners.point import describe_clips, describe_shots
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import unit_of

STUDIES_CAPTION = (
    "First panel: what the winner of each study gains over the untouched model, with its 95 % interval. Others: each "
    "point that both studies have complete, its validation score in one against that in the other; on the dashed line "
    "both are the same. Pale dots: where the difference in {differs} may be chance. Stars: winners."
)
PAPER_CAPTION = (
    "Each clip rate of a curve that both the paper and the study have: the study's gain over its untouched model "
    "against the paper's over its score at rate 0, on validation rows, which are not the same. On the dashed line both "
    "gain as much. Pale dots: what may be chance in the study; the paper does not say what may be chance in its own."
)
CHANCE, CLEAR = ("may be chance", "faint"), ("beyond chance", "complete")


def studies_chart(found: SideBySide) -> Chart:
    """The winners' gains, and a panel for each pair of studies that have a clip in common."""
    caption = STUDIES_CAPTION.format(differs=METRICS[found.sides[0].metric].gained)
    panels = [_winners(found), *(_scores(pair) for pair in found.pairs if pair.clipped_in_common)]
    return Chart(name="compare", title="Studies compared", caption=caption, panels=panels, columns=2, same_y=False)


def paper_chart(found: BesidePaper) -> Chart | None:
    """A panel for each study and each of the paper's models; None where the paper has no curve of what was swept."""
    by_panel: dict[tuple[str, str], list[CurvePair]] = {}
    for curve in found.curves:
        by_panel.setdefault((curve.site.study, curve.site.model), []).append(curve)
    if not by_panel:
        return None
    panels = [_gains(f"{study} and {model}", model, curves) for (study, model), curves in by_panel.items()]
    return Chart(name="paper", title="Gains beside the paper's", caption=PAPER_CAPTION, panels=panels, columns=2)


def _winners(found: SideBySide) -> Panel:
    winners = [(side.name, side.standings.winner) for side in found.sides]
    gains = [(name, winner.gain) for name, winner in winners if winner is not None]
    return Panel(
        title="Gain of the winner",
        x=Axis(title="study", kind="category", categories=tuple(name for name, _ in gains)),
        y=_gain_axis(found),
        marks=[
            Level(y=0.0, name="untouched model"),
            Bars(
                x=[name for name, _ in gains],
                y=[gain.estimate for _, gain in gains],
                name="gain of the winner",
                color="complete",
                low=[gain.low for _, gain in gains],
                high=[gain.high for _, gain in gains],
                texts=[unit_of(gain.metric).number(gain.estimate) for _, gain in gains],
            ),
        ],
    )


def _gain_axis(found: SideBySide) -> Axis:
    scale = Scale(METRICS[found.sides[0].metric].gained)
    return Axis(title=scale.gain_words, percent=True) if scale.is_share else scale.gain_axis()


def _scores(pair: Pair) -> Panel:
    """The scores of the second study against those of the first."""
    others = [point for point in pair.points if not any(point.won)]
    return Panel(
        title=f"{pair.second.name} against {pair.first.name}",
        x=Axis(title=f"{in_words(pair.metric)}, {pair.first.name}"),
        y=Axis(title=f"{in_words(pair.metric)}, {pair.second.name}"),
        marks=_with_places(
            _equal([point.scores for point in pair.points]),
            _points([point for point in others if point.difference.within_noise], *CHANCE),
            _points([point for point in others if not point.difference.within_noise], *CLEAR),
            _points([point for point in pair.points if any(point.won)], "winner of one", "best", "star"),
        ),
    )


def _points(points: Sequence[PointPair], name: str, color: str, symbol: Symbol = "dot") -> Dots:
    return Dots(
        x=[point.scores[0] for point in points],
        y=[point.scores[1] for point in points],
        name=name,
        color=color,
        symbol=symbol,
        texts=[f"{_label(point)}: {_in_words(point.difference)}" for point in points],
    )


def _label(point: PointPair) -> str:
    return f"{describe_clips(point.clips) or 'untouched'}, {describe_shots(point.shots)}"


def _in_words(difference: Difference) -> str:
    """``+3.5 points of accuracy``, or ``+0.0660 nats per token``."""
    told = Scale(difference.metric).gain(difference.estimate)
    return f"{told} of {difference.metric}" if difference.weights is None else told


def _gains(title: str, model: str, curves: Sequence[CurvePair]) -> Panel:
    """The gains of a study against those of the paper."""
    rates = [(curve.site, rate) for curve in curves for rate in curve.rates if rate.clip_rate]
    return Panel(
        title=title,
        x=Axis(title=f"gain of {model}", percent=True),
        y=Axis(title="gain of the study", percent=True),
        marks=_with_places(
            Level(y=0.0, name="untouched model"),
            _equal([(rate.published_gain, rate.difference.estimate) for _, rate in rates]),
            _rates([each for each in rates if each[1].within_noise], *CHANCE),
            _rates([each for each in rates if not each[1].within_noise], *CLEAR),
        ),
    )


def _rates(rates: Sequence[tuple[Site, RatePair]], name: str, color: str) -> Dots:
    return Dots(
        x=[rate.published_gain for _, rate in rates],
        y=[rate.difference.estimate for _, rate in rates],
        name=name,
        color=color,
        texts=[
            f"{site.module} of layer {site.layer} at clip rate {rate.clip_rate:g}, {describe_shots(site.shots)}: "
            f"{in_points(rate.difference.estimate)}; layer {site.published_layer} of {site.model} "
            f"({site.matched}): {in_points(rate.published_gain)}"
            for site, rate in rates
        ],
    )


def _equal(places: Sequence[tuple[float, float]]) -> Line:
    """The line on which both sides are the same, as far as it lies among the dots."""
    across, up = ([place[side] for place in places] for side in (0, 1))
    low, high = max(min(across), min(up)), min(max(across), max(up))
    ends = [low, high] if low < high else []
    return Line(x=ends, y=ends, name="the same in both", color="baseline", dashed=True, marked=False)


def _with_places(*marks: Level | Line | Dots) -> list[Mark]:
    """Marks without those that have nothing to draw, which would stand in the legend."""
    return [mark for mark in marks if isinstance(mark, Level) or len(mark.x)]
