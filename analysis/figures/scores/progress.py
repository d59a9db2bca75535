"""How a search went: the best score so far by trials, rows and time, and how far each trial came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Line, Mark, Panel
from clipsweep.analysis.figures.words import SUBJECT, Scale, parts_of, scale_of

if TYPE_CHECKING:
    import pandas

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}  # of computing: the largest of which there are some
STOPPED, COMPLETE = "stopped early", "complete"
CAPTION = (
    "Best validation score of a complete point so far, the untouched model among them: by trials in the order they "
    "ended, by the rows that they were evaluated on, and by the time of computing, that of all replicas together."
)
STOPS_CAPTION = " Last: the rows that each trial has seen, as a race stops those that fall behind."


def progress_chart(trials: pandas.DataFrame, points: pandas.DataFrame) -> Chart | None:
    """Progress of one search or several, a line each; and how far each trial came, where some were stopped.

    Args:
        trials: As ``clipsweep.load`` gives them.
        points: Of the same studies, as ``clipsweep.points`` gives them.

    Returns:
        None while no point is complete.
    """
    scale = scale_of(points)
    parts = parts_of(points, [*SUBJECT, "shots"])
    lines = [(title, _steps(_ended(trials, part), part, scale)) for title, part in parts]
    lines = [(title, steps) for title, steps in lines if len(steps)]
    if not lines:
        return None
    longest = max(steps["seconds"].max() for _, steps in lines)
    unit = next((unit for unit, seconds in UNITS.items() if longest > 2 * seconds), "seconds")
    lines = [(title, steps.assign(time=steps["seconds"] / UNITS[unit])) for title, steps in lines]
    axes = {"trials": "trials ended", "rows": "rows evaluated", "time": f"{unit} of computing"}
    y = scale.axis(f"best {scale.words}")
    panels = [
        Panel(title=title, x=Axis(title=words), y=y, marks=[_line(name, steps, column, scale) for name, steps in lines])
        for (column, words), title in zip(axes.items(), ("By trials", "By rows", "By time"), strict=True)
    ]
    stops = [stop for title, part in parts_of(trials, SUBJECT) if (stop := _stops(title, part)) is not None]
    return Chart(
        name="search",
        title="How the search went",
        caption=CAPTION + STOPS_CAPTION * bool(stops),
        panels=[*panels, *stops],
        columns=2 if stops else 3,
    )


def _ended(trials: pandas.DataFrame, points: pandas.DataFrame) -> pandas.DataFrame:
    """Validation trials of some points in the order they ended, with what had been spent by then."""
    asked = {each for ids in (*points["trial_ids"], *points["baseline_ids"]) for each in ids}
    study = points["study"].iloc[0]
    mine = trials[(trials["study"] == study) & trials["trial_id"].isin(asked) & _has_scores(trials)]
    mine = mine.sort_values("finished_at", kind="stable")
    return mine.assign(
        trials=range(1, len(mine) + 1), rows=mine["n_examples"].cumsum(), seconds=mine["seconds"].cumsum()
    )


def _has_scores(trials: pandas.DataFrame) -> pandas.Series[bool]:
    """Which trials were evaluated, on all rows or on some."""
    return trials["state"] != "failed"


def _steps(ended: pandas.DataFrame, points: pandas.DataFrame, scale: Scale) -> pandas.DataFrame:
    """Where the best score gets better, and the end: what had been spent by then, and the score."""
    place = dict(zip(ended["trial_id"], range(len(ended)), strict=True))
    complete = points[points["score"].notna()]
    at = [max(place[each] for each in ids) for ids in complete["trial_ids"]]
    found = complete.assign(at=at).sort_values("at", kind="stable")
    best = scale.goodness(found["score"]).cummax()
    rises = found.assign(best=scale.goodness(best))[best > best.shift(fill_value=float("-inf"))]
    rises = rises.drop_duplicates("at", keep="last")
    if rises.empty:
        return ended.head(0)
    ends = [*rises["at"], *([len(ended) - 1] if rises["at"].iloc[-1] < len(ended) - 1 else [])]
    chosen = rises.iloc[[*range(len(rises)), *([-1] * (len(ends) - len(rises)))]]
    return ended.iloc[ends].assign(best=chosen["best"].tolist(), label=chosen["label"].tolist())


def _line(name: str, steps: pandas.DataFrame, column: str, scale: Scale) -> Line:
    texts = [
        f"{scale.score(best)} after {trials} trials, {rows} rows, {seconds:.0f} seconds: {label}"
        for best, trials, rows, seconds, label in zip(
            *(steps[each] for each in ("best", "trials", "rows", "seconds", "label")), strict=True
        )
    ]
    return Line(
        x=steps[column].tolist(),
        y=steps["best"].tolist(),
        name=name or "best so far",
        color=None if name else "complete",
        steps=True,
        marked=len(steps) == 1,  # which no line goes through
        texts=texts,
        in_legend=bool(name),
    )


def _stops(title: str, trials: pandas.DataFrame) -> Panel | None:
    """How many rows each trial of a study has seen; None where none was stopped."""
    seen = trials[(trials["split"] == "validation") & _has_scores(trials)]
    seen = seen.sort_values("finished_at", kind="stable")
    seen = seen.assign(number=range(1, len(seen) + 1), complete=seen["state"] == "complete")
    if seen["complete"].all():
        return None
    marks: list[Mark] = []
    for name, part in ((STOPPED, seen[~seen["complete"]]), (COMPLETE, seen[seen["complete"]])):
        x, y = part["number"].tolist(), part["n_examples"].tolist()
        marks.append(Dots(x=x, y=y, name=name, color="stopped" if name == STOPPED else "complete"))
    return Panel(
        title=f"{title}: rows that each trial has seen" if title else "Rows that each trial has seen",
        x=Axis(title="trial, in the order they ended"),
        y=Axis(title="validation rows", low=0),
        marks=marks,
    )
