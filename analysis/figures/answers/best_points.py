"""The best points of each study and number of shots, which several figures look at more closely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipsweep.analysis.figures.words import SUBJECT, distinct, parts_of, scale_of
from clipsweep.analysis.winners.point import label_layers, runs_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND

if TYPE_CHECKING:
    import pandas

PointRow = dict[str, Any]  # a row of the point frame, by column
LONGEST_LABEL = 18  # characters that stand under a bar or beside a cell without covering others


def best_points(points: pandas.DataFrame, most: int) -> Iterator[tuple[str, list[PointRow]]]:
    """Of each study and number of shots its complete points: the untouched model first, then the best.

    Args:
        points: As ``point_frame`` makes them.
        most: How many to take beside the untouched model; the winner is among them.

    Yields:
        A title, as ``parts_of`` gives it, and the points. Those without the untouched model, or with nothing beside it,
        are left out. Points of the same trials, as they leave the same ranks, count once; so does the untouched model,
        which a clip rate of 0 is too.
    """
    complete = points[points["state"] == "complete"].sort_values("shots", kind="stable")
    complete = complete.assign(goodness=scale_of(points).goodness(complete["score"]))
    for title, part in parts_of(complete, (*SUBJECT, "shots")):
        best_first = part.sort_values(["is_baseline", "is_winner", "goodness"], ascending=False, kind="stable")
        held = best_first.drop_duplicates("trial_ids").head(most + 1).to_dict("records")
        if held[0]["is_baseline"] and len(held) > 1:
            yield title, held


def best_by_task(trials: pandas.DataFrame, points: pandas.DataFrame, most: int) -> Iterator[tuple[str, list[PointRow]]]:
    """The same, of several tasks in one score once for each: with its trials alone, which have the same examples.

    A guard that is judged by another metric is left out.

    Args:
        trials: As ``trial_frame`` makes them.
        points: Of the same studies, as ``best_points`` takes them.
        most: The same.
    """
    task_of = dict(zip(trials["trial_id"], trials["task"], strict=True))
    told = {*trials["task"][trials[scale_of(points).metric].notna()]}
    for title, held in best_points(points, most):
        tasks = dict.fromkeys(task_of[trial] for trial in held[0]["trial_ids"])
        if len(tasks) == 1:
            yield title, held
            continue
        for task in filter(told.__contains__, tasks):
            yield titled(title, task), [_of_task(point, task, task_of) for point in held]


def _of_task(point: PointRow, task: str, task_of: Mapping[str, str]) -> PointRow:
    """A point with the trials of one of its tasks alone."""
    own = {
        name: tuple(trial for trial in point[name] if task_of[trial] == task)
        for name in ("trial_ids", "baseline_ids", "test_ids")
    }
    return {**point, **own, "n_seeds": len(own["trial_ids"])}


def rows_of(trials: pandas.DataFrame, trial_ids: Sequence[str]) -> pandas.DataFrame:
    """The trials of a point in their order, a row each, by ``trial_id``."""
    return trials.drop_duplicates("trial_id").set_index("trial_id").loc[list(trial_ids)]


def short_label(point: PointRow) -> str:
    """A point in few words: ``mlp 4 at 0.95``; a kind that is not the usual one is named, with its options."""
    runs = runs_of(clip for clip in point["clips"] if not clip.is_idle)
    return ", ".join(map(_label_run, runs)) or "untouched"


def _label_run(run: Sequence[Clip]) -> str:
    first = run[0]
    rate = "" if first.told_rate is None else f" at {first.told_rate:g}"
    kind = "" if first.kind == DEFAULT_KIND else f" ({first.of_kind.words})"
    return f"{first.module} {label_layers(run)}{rate}{kind}"


def names_of(points: Sequence[PointRow]) -> list[str]:
    """Points in few words, each in others: what stands at one place of an axis is one."""
    return distinct([short_label(point) for point in points])


def axis_labels(names: Sequence[str]) -> list[str]:
    """What stands at an axis for points of these names: the names, or numbers where one of them is too long.

    The first name, that of the untouched model, always stands.
    """
    if max(map(len, names)) <= LONGEST_LABEL:
        return list(names)
    return [names[0], *(f"#{number}" for number in range(1, len(names)))]


def key_of(labels: Sequence[str], names: Sequence[str]) -> str:
    """What numbers stand for, as a sentence; empty where the names stand themselves."""
    pairs = [f"{label} {name}" for label, name in zip(labels, names, strict=True) if label != name]
    return f"{'; '.join(pairs)}." if pairs else ""


def titled(title: str, words: str) -> str:
    """The title of a panel that shows a part in some way."""
    return f"{title}: {words}" if title else words
