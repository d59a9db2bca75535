"""How much the demonstrations matter: the score under each demonstration seed, of the untouched model and the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis, Chart, Line, Panel
from clipsweep.analysis.figures.answers.best_points import PointRow, best_by_task, names_of, rows_of
from clipsweep.analysis.figures.words import Scale, scale_of

if TYPE_CHECKING:
    import pandas

MOST = 5  # points beside the untouched model
CAPTION = (
    "Validation score under each demonstration seed, that is with other demonstrations in the prompt. Where lines "
    "cross, which point is best depends on the demonstrations; where a line stays {side} the dashed one, its gain does "
    "not."
)


def seeds_chart(trials: pandas.DataFrame, points: pandas.DataFrame) -> Chart | None:
    """Scores by demonstration seed, a line for each of the best points, a panel for each study and number of shots.

    Args:
        trials: As ``trial_frame`` makes them.
        points: Of the same studies, as ``point_frame`` makes them.

    Returns:
        None where there is one seed.
    """
    scale = scale_of(points)
    groups = best_by_task(trials, points, MOST)
    panels = [_panel(title, held, trials, scale) for title, held in groups if held[0]["n_seeds"] > 1]
    if not panels:
        return None
    caption = CAPTION.format(side="below" if scale.of.lower_is_better else "above")
    return Chart(name="seeds", title="Spread over demonstration seeds", caption=caption, panels=panels)


def _panel(title: str, held: list[PointRow], trials: pandas.DataFrame, scale: Scale) -> Panel:
    seeds = [str(seed) for seed in sorted(rows_of(trials, held[0]["trial_ids"])["demo_seed"])]
    return Panel(
        title=title,
        x=Axis(title="demonstration seed", kind="category", categories=tuple(seeds)),
        y=scale.axis(f"validation {scale.words}"),
        marks=[_line(name, point, trials, scale.metric) for name, point in zip(names_of(held), held, strict=True)],
    )


def _line(name: str, point: PointRow, trials: pandas.DataFrame, metric: str) -> Line:
    """The score of one point under each seed."""
    answers = rows_of(trials, point["trial_ids"]).sort_values("demo_seed")
    untouched = bool(point["is_baseline"])
    return Line(
        x=[str(seed) for seed in answers["demo_seed"]],
        y=answers[metric].tolist(),
        name=name + (" (winner)" if point["is_winner"] else ""),
        color="baseline" if untouched else "best" if point["is_winner"] else None,
        dashed=untouched,
    )
