"""The table of trials as compact data: a column for each thing told, which the page's script sorts and filters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipsweep.analysis.figures.words import in_words
from clipsweep.analysis.frames.of_tasks import rows_by_task
from clipsweep.analysis.frames.paired_text import gains_of
from clipsweep.analysis.frames.trial_values import TrialValues
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.interval import Z
from clipsweep.analysis.winners.point import common_rate, describe_clips, label_layers, runs_of
from clipsweep.analysis.winners.scores import packed_of
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import unit_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND

Cell = str | float | int | None
UNTOUCHED = "the untouched model"
LEFT_OUT_IF_SAME = ("task", "seed", "split", "layer", "rate", "module", "seen")  # columns that then tell nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialColumn:
    """One column of the table of trials.

    Attributes:
        key: What the script knows it by.
        label: Its heading.
        digits: Digits behind the point; None for text.
        filtered: Whether a list of its values, of which one can be chosen, stands above the table.
        wide: Whether it is left out where the screen is narrow.
        first_down: Whether the first press of its heading sorts from the largest.
    """

    key: str
    label: str
    digits: int | None = None
    filtered: bool = False
    wide: bool = True
    first_down: bool = False


def trial_columns(metric: str) -> list[TrialColumn]:
    """The columns, from left to right."""
    unit = unit_of(METRICS[metric].gained)
    more = not METRICS[metric].lower_is_better
    return [
        TrialColumn(key="order", label="#", digits=0),
        TrialColumn(key="task", label="task", filtered=True),
        TrialColumn(key="clip", label="clip", wide=False),
        TrialColumn(key="module", label="module", filtered=True),
        TrialColumn(key="layer", label="layer"),
        TrialColumn(key="rate", label="clip rate", digits=4),
        TrialColumn(key="shots", label="shots", digits=0, filtered=True),
        TrialColumn(key="seed", label="seed", digits=0, filtered=True),
        TrialColumn(key="split", label="rows of", filtered=True),
        TrialColumn(key="state", label="state", filtered=True),
        TrialColumn(key="seen", label="rows seen", digits=0),
        TrialColumn(key="score", label=in_words(metric), digits=4, wide=False, first_down=more),
        TrialColumn(key="gain", label=f"{unit.words} gained", digits=unit.digits, wide=False, first_down=True),
        TrialColumn(key="kept", label="kept, %", digits=2),
        TrialColumn(key="seconds", label="seconds", digits=1),
        TrialColumn(key="trial", label="trial"),
    ]


def trial_data(standings: Standings, metric: str) -> dict[str, Any]:
    """The columns with their values, each text once: what the page's script reads.

    Args:
        standings: Of the points whose trials are shown: those on validation, and on test where they have run.
        metric: Column of scores.
    """
    before = _baselines(standings)
    rows = standings.rows
    listed = [trial_id for trial_id in rows if trial_id in before]
    gains = _gains_by_task(rows, {trial_id: before[trial_id] for trial_id in listed}, metric)
    found = [
        _cells(number, rows[trial_id], gain, metric)
        for number, (trial_id, gain) in enumerate(zip(listed, gains, strict=True), 1)
    ]
    columns = trial_columns(metric)
    *values, noises = list(zip(*found, strict=True)) or [()] * (len(columns) + 1)
    shown = [
        _column(column, each)
        for column, each in zip(columns, values, strict=True)
        if column.key not in LEFT_OUT_IF_SAME or len(set(each)) > 1
    ]
    for column in shown:
        if column["key"] == "clip":  # a wide screen has columns that tell the same of single clips
            column["narrow"] = all(_is_told_by_columns(rows[each]) for each in listed)
        if column["key"] == "gain":
            column["spread"] = [_rounded(noise, column["digits"]) for noise in noises]
    return {"rows": len(listed), "columns": shown}


def _is_told_by_columns(row: StoredRow) -> bool:
    """Whether module, layer and clip rate say what is clipped."""
    return not row.clips or (len(runs_of(row.clips)) == 1 and row.clips[0].kind == DEFAULT_KIND)


def _baselines(standings: Standings) -> dict[str, str]:
    """By trial its baseline's: of all trials that the points ask for."""
    before: dict[str, str] = {}
    for point in standings.points:
        before |= dict(zip(point.baseline_ids, point.baseline_ids, strict=True))
        before |= dict(zip(point.trial_ids, point.baseline_ids, strict=True))
        before |= dict(zip(point.test_ids, point.baseline_test_ids, strict=True))
        before |= dict(zip(point.baseline_test_ids, point.baseline_test_ids, strict=True))
    return before


def _gains_by_task(
    rows: Mapping[str, StoredRow], before: Mapping[str, str], metric: str
) -> list[tuple[float, float] | None]:
    """The gains of ``_gains``, of each task by its rows alone, as tasks have other examples.

    None for a guard whose rows are not of the metric's kind: texts beside answers, or answers beside texts.
    """
    found: dict[str, tuple[float, float] | None] = dict.fromkeys(before)
    for own in rows_by_task(rows).values():
        if any(packed_of(own, "loglikelihoods")) != METRICS[metric].of_text:
            continue
        asked = {trial_id: baseline for trial_id, baseline in before.items() if trial_id in own}
        found |= dict(zip(asked, _gains(own, asked, metric), strict=True))
    return [found[trial_id] for trial_id in before]


def _gains(rows: Mapping[str, StoredRow], before: Mapping[str, str], metric: str) -> list[tuple[float, float] | None]:
    """What is gained on the examples that both have seen, in the unit shown, and what 1.96 standard errors of it are.

    Args:
        rows: By trial.
        before: The trials asked for, each with its baseline, which itself gains nothing: None.
        metric: Column of scores.
    """
    values = TrialValues.of(rows, metric)
    trials, baselines = (values.numbers([[each] for each in ids]) for ids in (before, before.values()))
    gains = gains_of(values, trials, baselines)
    factor = unit_of(METRICS[metric].gained).factor
    found = zip((factor * gains.gain).tolist(), (factor * Z * gains.standard_error).tolist(), strict=True)
    return [None if each == other else gain for (each, other), gain in zip(before.items(), found, strict=True)]


def _cells(number: int, row: StoredRow, gain: tuple[float, float] | None, metric: str) -> tuple[Cell, ...]:
    """The values of ``trial_columns``, and behind them the noise of the gain."""
    told = row.has_scores and row.is_text == METRICS[metric].of_text  # else it is of a guard with another metric
    gained, noise = (gain if told else None) or (None, None)
    return (
        number,
        row.task,
        describe_clips(clip for clip in row.clips if not clip.is_idle) or UNTOUCHED,
        "+".join(sorted({clip.module for clip in row.clips})) or "none",
        _layers(row.clips),
        common_rate(row.clips),
        row.shots,
        row.demo_seed,
        row.split,
        row.state.value,
        row.n_examples,
        row.score(metric) if told else None,
        gained,
        100 * row.parameters_kept / row.parameters_total,
        row.seconds,
        row.trial_id[:8],
        noise,
    )


def _layers(clips: Iterable[Clip]) -> str | None:
    """The layer that is clipped, or the layers of a range; None for none, or several places."""
    layers = {label_layers(run) for run in runs_of(clips)}
    return layers.pop() if len(layers) == 1 else None


def _column(column: TrialColumn, values: Sequence[Cell]) -> dict[str, Any]:
    """A column as the script reads it: texts as their place in a list of all texts."""
    told = {
        "key": column.key,
        "label": column.label,
        "digits": column.digits,
        "filtered": column.filtered,
        "wide": column.wide,
        "down": column.first_down,
    }
    if column.digits is not None:
        return told | {"values": [_rounded(value, column.digits) for value in values]}
    texts = list(dict.fromkeys(str(value) for value in values if value is not None))
    place = {text: number for number, text in enumerate(texts)}
    return told | {"texts": texts, "values": [None if value is None else place[str(value)] for value in values]}


def _rounded(value: Cell, digits: int) -> Cell:
    """A number as short as it is shown; None for what is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(value, digits) if digits else int(value)
