"""Stored rows as a pandas frame, a row per trial, and such a frame as rows again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas

from clipsweep.analysis.row.arrays import NUMBERS, make_columns
from clipsweep.analysis.row.row import OF_BLOCKS, SCHEMA
from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.analysis.winners.points_of_rows import Rules, check_metric, rules_of
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.scores.metrics import METRICS

METRIC, STUDIES = "metric", "studies"  # keys of a frame's attributes: its metric; what is known of its studies
RULES = "rules"  # of a study, beside what names it
NEEDED = (
    *("trial_id", "study", "state", "attempt", "model", "model_fingerprint", "dtype", "task", "variant"),
    *("task_fingerprint", "split", "shots", "demo_seed", "clips", "n_examples", "accuracy", "outcomes"),
    *("parameters_kept", "parameters_total", "operations", "seconds", "started_at", "finished_at"),
)
OF_ONE_STUDY = ["study", "model_fingerprint", "dtype", "task_fingerprint"]
MAY_BE_MISSING = ("layer", "demonstrations")  # whole numbers that a row may lack, which pandas would make fractions


def trial_frame(rows: LatestRows, rules: Rules | None = None) -> pandas.DataFrame:
    """The latest attempt of each trial, a row each, in the order they finished.

    Args:
        rows: Of one study.
        rules: How its points are judged, kept with the frame for ``points``; None where they are not known.

    Returns:
        The stored columns, as the file has them: ``outcomes`` and ``margins`` packed, times in UTC. ``attrs`` has
        ``metric``, the column of scores that points are judged by.
    """
    frame = rows.table().to_pandas()
    frame = frame.astype(dict.fromkeys(MAY_BE_MISSING, "Int64"))
    named = [] if rules is None else frame[OF_ONE_STUDY].drop_duplicates().to_dict("records")
    rules = rules or rules_of(rows)
    frame.attrs = {METRIC: rules.metric, STUDIES: [{**each, RULES: rules.to_json()} for each in named]}
    return frame


def join_frames(frames: Iterable[pandas.DataFrame]) -> pandas.DataFrame:
    """Trial frames of several studies one below the other.

    Raises:
        StudyError: Two of them hold studies of one name that could not be told apart: with the same trials, or of one
            model and task and judged by different rules.
    """
    frames = list(frames)
    joined = pandas.concat(frames, ignore_index=True)
    twice = joined[joined.duplicated([*OF_ONE_STUDY, "trial_id"])]
    if len(twice):
        raise StudyError(
            f"two of the folders hold the same trials of studies that are both named {twice['study'].iloc[0]!r}; "
            f"expected studies of different names. Load them one by one."
        )
    metrics = {frame.attrs[METRIC] for frame in frames}
    studies = [each for frame in frames for each in frame.attrs[STUDIES]]
    _check_rules(studies)
    joined.attrs = {METRIC: metrics.pop() if len(metrics) == 1 else "accuracy", STUDIES: studies}
    return joined


def _check_rules(studies: Iterable[Mapping[str, Any]]) -> None:
    """Refuse studies that would count as one, but are judged by different rules."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in studies:
        rules = known.setdefault(_key(each), each[RULES])
        apart = [name for name, value in each[RULES].items() if value != rules[name]]
        if apart:
            raise StudyError(
                f"two of the folders hold studies that are both named {each['study']!r}, of one model and task, and "
                f"differ in {', '.join(apart)}; expected studies of different names. Load them one by one."
            )


def _key(study: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a study from others."""
    return tuple([study[name] for name in OF_ONE_STUDY])


def studies_in(frame: pandas.DataFrame, metric: str | None = None) -> Iterator[tuple[LatestRows, Rules]]:
    """The rows of each study in a frame, and how its points are judged.

    Args:
        frame: As ``trial_frame`` gives it, all of it or some rows, or as pandas reads the files of a study.
        metric: Column of scores to judge by; None for that of each study, or of the frame where that is not known.

    Raises:
        StudyError: It lacks columns, holds a value that is none of its column, or trials without a score by the metric.
    """
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise StudyError(
            f"the frame has no column {', '.join(missing)}; expected one of trials, as clipsweep.load gives it."
        )
    known = {_key(each): each[RULES] for each in frame.attrs.get(STUDIES, [])}
    for key, part in frame.groupby(OF_ONE_STUDY, sort=False):
        rows = _rows_of(part)
        rules = Rules.of_json(known[key]) if key in known else _rules_without_study(rows, frame)
        if metric is not None:
            check_metric(rows, metric)
            rules = replace(rules, metric=metric)
        yield rows, rules


def _rules_without_study(rows: LatestRows, frame: pandas.DataFrame) -> Rules:
    """The rules of rows whose study is not known: the metric of texts is theirs alone, else it is the frame's."""
    rules = rules_of(rows)
    return rules if METRICS[rules.metric].of_text else Rules.of_json({"metric": frame.attrs.get(METRIC, rules.metric)})


def _rows_of(frame: pandas.DataFrame) -> LatestRows:
    """A frame of one study as rows."""
    columns = {name: _plain(frame[name], name) for name in SCHEMA.names if name in frame.columns}
    try:
        table = make_columns(columns, len(frame), SCHEMA)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise StudyError(
            f"the frame holds a value that is none of its column ({error}); expected the columns as clipsweep.load "
            f"gives them."
        ) from error
    return Attempts.of(table).latest()


def _plain(column: pandas.Series[Any], name: str) -> list[Any]:
    """The values of a column as Arrow takes them, None where there is none."""
    kind = SCHEMA.field(name).type
    if kind in NUMBERS and str(kind).startswith("int"):
        column = column.astype("Int64")
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    if name == "clips":
        return [list(clips) for clips in values]
    if name in OF_BLOCKS:
        return list(map(_plain_logs, values))
    return values


def _plain_logs(logs: Iterable[float | None] | None) -> list[float | None] | None:
    """Numbers of blocks, None where there is none; pandas has NaN there."""
    return None if logs is None else [None if log is None or math.isnan(log) else float(log) for log in logs]
