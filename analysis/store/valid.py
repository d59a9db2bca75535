"""What a file's rows must be to count: checked at reading, a column at once, so that no damage is taken for a result.

``clipsweep verify`` looks closer; these are the checks that a million rows can have each time that they are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipsweep.analysis.store.arrays import make_array
from clipsweep.trials.spec.result import TrialState

MAY_BE_NULL = {
    *("layer", "module", "clip_rate", "accuracy", "macro_f1", "gold_logprob", "calibration_error", "engine_path"),
    *("error", "log_path", "demonstrations", "tally", "margins"),
}
RANGES: Mapping[str, tuple[float, float]] = {
    "attempt": (1, math.inf),
    "shots": (0, math.inf),
    "demo_seed": (0, math.inf),
    "layer": (0, math.inf),
    "clip_rate": (0, 1),
    "n_examples": (0, math.inf),
    "accuracy": (0, 1),
    "macro_f1": (0, 1),
    "gold_logprob": (-math.inf, math.inf),
    "calibration_error": (0, 1),
    "parameters_kept": (0, math.inf),
    "parameters_total": (1, math.inf),
    "operations": (0, math.inf),
    "microbatch": (0, math.inf),
    "seconds": (0, math.inf),
    "demonstrations": (0, math.inf),
}
STATES = [state.value for state in TrialState]


def fault_of(rows: pa.Table) -> str | None:
    """What is wrong with rows in today's columns, as a sentence's second half; None where nothing is."""
    checks = (_null, _unknown_state, _out_of_range, _without_score, _lengths, _broken_clip)
    return next((fault for check in checks if (fault := check(rows)) is not None), None)


def foreign(rows: pa.Table, belongs: Mapping[str, str]) -> str | None:
    """How rows differ from what all rows of a study have in common; None where they do not.

    Args:
        rows: In today's columns.
        belongs: By column the one value that it may hold.
    """
    for name, ours in belongs.items():
        others = [value for value in rows[name].unique().to_pylist() if value != ours]
        if others:
            return f"{name} {others[0]!r} there, {ours!r} in this study"
    return None


def _null(rows: pa.Table) -> str | None:
    for name in rows.column_names:
        if name not in MAY_BE_NULL and (count := rows[name].null_count):
            return f"{count} of its {rows.num_rows} rows have no {name}"
    return None


def _unknown_state(rows: pa.Table) -> str | None:
    unknown = [state for state in rows["state"].unique().to_pylist() if state not in STATES]
    return f"a row has state {unknown[0]!r}, which is none of {', '.join(STATES)}" if unknown else None


def _out_of_range(rows: pa.Table) -> str | None:
    for name, (low, high) in RANGES.items():
        found: Any = pc.min_max(rows[name])
        for value in (found["min"].as_py(), found["max"].as_py()):
            if value is not None and not low <= value <= high:
                return f"a row has {name} {value:g}"
        if pa.types.is_floating(rows[name].type) and pc.any(pc.is_nan(rows[name])).as_py():
            return f"a row has {name} nan"
    return None


def _without_score(rows: pa.Table) -> str | None:
    [failed] = make_array([TrialState.FAILED.value], pa.string())
    scored = pc.not_equal(rows["state"], failed)
    missing = pc.and_(scored, pc.is_null(rows["accuracy"]))
    return "a row that was evaluated has no accuracy" if pc.any(missing).as_py() else None


def _lengths(rows: pa.Table) -> str | None:
    """Outcomes are a bit for each example, rounded up to whole bytes; margins are two bytes for each, or none."""
    examples = rows["n_examples"]
    two, seven, eight = make_array([2, 7, 8], pa.int32())  # plain ones, and pa.scalar, would load pandas
    expected = {"outcomes": pc.divide(pc.add(examples, seven), eight), "margins": pc.multiply(examples, two)}
    for name, length in expected.items():
        if pc.any(pc.not_equal(pc.binary_length(rows[name]), length)).as_py():
            return f"a row has more or fewer {name} than examples"
    return None


def _broken_clip(rows: pa.Table) -> str | None:
    clips = pc.list_flatten(rows["clips"])
    for name in ("layer", "module", "clip_rate", "kind"):
        if clips.null_count or pc.struct_field(clips, name).null_count:
            return f"a clip has no {name}"
    lowest: Any = pc.min(pc.struct_field(clips, "layer"))
    rates: Any = pc.min_max(pc.struct_field(clips, "clip_rate"))
    if not len(clips):
        return None
    inside = lowest.as_py() >= 0 and 0 <= rates["min"].as_py() <= rates["max"].as_py() < 1
    return None if inside else "a clip has a layer below 0, or a clip_rate outside of 0 to 1"
