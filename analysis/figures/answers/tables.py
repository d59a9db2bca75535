"""What the winners score on test: the paper's Tables 2 to 8, and its Figure 4, for any study or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis, Bars, Chart, Panel, Table
from clipsweep.analysis.figures.answers.best_points import PointRow, titled
from clipsweep.analysis.figures.words import SUBJECT, Scale, distinct, model_name, parts_of, scale_of
from clipsweep.analysis.winners.point import join_kinds, label_place, label_rates
from clipsweep.trials.scores.shown import POINTS, Unit
from clipsweep.trials.spec.kinds import DEFAULT_KIND

if TYPE_CHECKING:
    import pandas

STUDY, KIND = "study", "kind"  # columns where winners are of several studies, or of another than the usual kind
COLUMNS = (
    STUDY,
    "task",
    "model",
    "shots",
    "module",
    KIND,
    "layer",
    "clip rate",
    "before",
    "after",
    "gain",
    "95 % interval",
    "p",
)
WINNERS = (
    "The winner of each study, number of shots and module, as validation picked it, on test rows that played no part "
    "in the choice."
)
SIGN_TEST = "McNemar's exact test"
SIGN_TEST_OF_TEXT = "an exact sign test over windows"
SIGN_TEST_OF_SEEDS = "an exact sign test over examples, each the mean over its demonstration seeds"
Cells = tuple[str | float | int | None, ...]


def results_table(points: pandas.DataFrame, published: pandas.DataFrame | None = None) -> Table | None:
    """The paper's Tables 2 to 8: a line for each winner, with what the paper does not give.

    Args:
        points: As ``point_frame`` makes them, of one or several studies.
        published: The paper's numbers; the lines of its tables on the same tasks are added.

    Returns:
        None where no winner has run on test.
    """
    winners = _winners(points)
    if not winners:
        return None
    scale = scale_of(points)
    unit = scale.of_gains.unit
    test = SIGN_TEST if all(point["n_seeds"] == 1 for point in winners) else SIGN_TEST_OF_SEEDS
    caption = (
        f"{WINNERS} Before and after: {scale.words} of the untouched and of the clipped model. The "
        f"{scale.of_gains.gain_words} is paired over {_examples(scale)}, in {unit.words}, with its 95 % bootstrap "
        f"interval and {SIGN_TEST_OF_TEXT if scale.of.of_text else test}."
    )
    rows = [_row(point, unit) for point in winners]
    tasks = {point["task"] for point in winners} if scale.is_accuracy else set()
    papers = [] if published is None else _published_rows(published, tasks)
    if papers:
        caption += " The paper's lines have no interval, as it publishes no outcomes of single examples."
    rows = sorted([*rows, *papers], key=lambda row: (str(row[1]), str(row[2])))
    kinds = {row[COLUMNS.index(KIND)] for row in rows} - {None, DEFAULT_KIND}
    needed = {KIND: bool(kinds), STUDY: _are_of_several(winners)}
    shown = [place for place, name in enumerate(COLUMNS) if needed.get(name, True)]
    return Table(
        name="tables",
        title="Untouched and clipped on test",
        caption=caption,
        columns=tuple(COLUMNS[place] for place in shown),
        rows=[tuple(row[place] for place in shown) for row in rows],
    )


def bar_chart(points: pandas.DataFrame) -> Chart | None:
    """The paper's Figure 4: bars of the untouched and of the clipped model on test, and the gain, for each model.

    Args:
        points: As ``point_frame`` makes them.

    Returns:
        None where no winner has run on test.
    """
    scale = scale_of(points)
    winners = _winners(points)
    studies = _are_of_several(winners)
    by_model = groupby(sorted(winners, key=_model), key=_model)
    panels = [panel for model, held in by_model for panel in _panels(model, list(held), scale, studies=studies)]
    if not panels:
        return None
    return Chart(
        name="figure4",
        title="Untouched and clipped on test",
        caption=f"{WINNERS} First: {scale.words} of the untouched and of the clipped model. Then: the "
        f"{scale.of_gains.gain_words}, in {scale.of_gains.unit.words}, paired over {_examples(scale)}, with its 95 % "
        f"bootstrap interval. Where that reaches 0 it may be chance.",
        panels=panels,
        same_y=False,
    )


def _winners(points: pandas.DataFrame) -> list[PointRow]:
    """Winners that have run on test, one for each study, number of shots and module.

    Where the untouched model won it stands for the modules that have no other winner.
    """
    found: list[PointRow] = []
    for _, part in parts_of(points, (*SUBJECT, "shots")):
        best = part[part["is_best"] & part["test_score"].notna()]
        clipped, untouched = best[~best["is_baseline"]], best[best["is_baseline"]].head(1)
        beaten = sorted(set(part["module"].dropna()) - set(clipped["module"]))
        found += clipped.to_dict("records")
        found += [{**point, "module": module} for point in untouched.to_dict("records") for module in beaten]
    return found


def _are_of_several(winners: Sequence[PointRow]) -> bool:
    """Whether there are several studies, which winners then name."""
    return len({point["study"] for point in winners}) > 1


def _model(point: PointRow) -> str:
    return model_name(point["model"])


def _examples(scale: Scale) -> str:
    """What gains are paired over."""
    return "windows of text" if scale.of.of_text else "examples"


def _row(point: PointRow, unit: Unit) -> Cells:
    return (
        point["study"],
        point["task"],
        _model(point),
        point["shots"],
        point["module"],
        join_kinds(point["clips"]),
        label_place(point["clips"]),
        label_rates(point["clips"]),
        f"{point['test_baseline']:.4f}",
        f"{point['test_score']:.4f}",
        unit.number(point["test_gain"]),
        unit.interval(point["test_low"], point["test_high"]),
        f"{point['test_p_value']:.2g}",
    )


def _published_rows(published: pandas.DataFrame, tasks: set[str]) -> list[Cells]:
    """Lines of the paper's tables on some tasks."""
    chosen = published[published["source"].str.startswith("table") & published["task"].isin(tasks)]
    return [_published_row(line) for line in chosen.to_dict("records")]


def _published_row(line: PointRow) -> Cells:
    return (
        None,
        line["task"],
        f"{line['model']} (paper)",
        line["shots"],
        line["module"],
        DEFAULT_KIND,
        str(line["layer"]),
        f"{line['clip_rate']:g}",
        f"{line['baseline']:.4f}",
        f"{line['score']:.4f}",
        POINTS.number(line["score"] - line["baseline"]),
        None,
        None,
    )


def _panels(model: str, winners: Sequence[PointRow], scale: Scale, *, studies: bool) -> tuple[Panel, Panel]:
    """The scores of one model's winners, and their gains."""
    several = len({point["shots"] for point in winners}) > 1
    words = tuple(distinct([_short(point, shots=several, study=studies) for point in winners]))
    axis = Axis(title="", kind="category", categories=words)
    texts = [f"{point['label']}, p = {point['test_p_value']:.2g}" for point in winners]
    scores = {name: [point[name] for point in winners] for name in ("test_baseline", "test_score")}
    gained, ends = scale.of_gains, ("gain", "low", "high")
    gains = {name: [gained.unit.factor * point[f"test_{name}"] for point in winners] for name in ends}
    return (
        Panel(
            title=model,
            x=axis,
            y=scale.axis(f"{scale.words} on test"),
            marks=[
                Bars(x=words, y=scores["test_baseline"], name="untouched", color="before"),
                Bars(x=words, y=scores["test_score"], name="clipped", color="after", texts=texts),
            ],
        ),
        Panel(
            title=titled(model, "gain"),
            x=axis,
            y=replace(gained.gain_axis(), title=f"{gained.gain_words} on test, {gained.unit.words}"),
            marks=[
                Bars(
                    x=words,
                    y=gains["gain"],
                    name="clipped",
                    color="after",
                    low=gains["low"],
                    high=gains["high"],
                    texts=texts,
                )
            ],
        ),
    )


def _short(point: PointRow, *, shots: bool, study: bool) -> str:
    """A winner in few words."""
    words = (
        f"{point['study']}: " * study
        + f"{point['task']}, {point['module']}"
        + (f", {point['shots']} shots" if shots else "")
    )
    return f"{words} (untouched)" if point["is_baseline"] else words
