"""What is wrong with stored rows, found for a whole table at once: nulls, impossible values, scores that do not fit."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipsweep.analysis.row.arrays import ends_of, lengths_in, numbers_in, valid_in, view
from clipsweep.analysis.row.packing import LOGLIKELIHOOD_DTYPE, MARGIN_DTYPE, TOKENS_DTYPE
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.kinds import KINDS, complete
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import SPLITS

Mask = NDArray[np.bool_]
MAY_BE_NULL = {
    *("layer", "module", "clip_rate", "accuracy", "macro_f1", "gold_logprob", "calibration_error", "engine_path"),
    *("error", "log_path", "demonstrations", "tally", "margins", "nll", "perplexity", "loglikelihoods", "tokens"),
    *("log_delta_w", "log_delta_w_softmax", "log_implicit_gradient", "theory_seconds"),
}
FINITE = (-np.finfo(np.float64).max, np.finfo(np.float64).max)
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("attempt", "parameters_total"), (1, np.inf)),
    **dict.fromkeys(("shots", "demo_seed", "layer", "n_examples", "parameters_kept", "operations"), (0, np.inf)),
    **dict.fromkeys(("microbatch", "demonstrations"), (0, np.inf)),
    **dict.fromkeys(("clip_rate", "accuracy", "macro_f1", "calibration_error"), (0, 1)),
    **dict.fromkeys(("gold_logprob", "nll"), FINITE),
    "perplexity": (0, FINITE[1]),
    **dict.fromkeys(("seconds", "theory_seconds"), (0, FINITE[1])),
}
CHECKED_WITH: Mapping[str, tuple[str, ...]] = {
    "outcomes": ("n_examples", "accuracy", "loglikelihoods"),
    **dict.fromkeys(("margins", "loglikelihoods", "tokens"), ("n_examples",)),
    "accuracy": ("nll",),
}
ACCURACY_DIGITS = 9  # to which an accuracy is the mean of its outcomes
BITS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with some rows of a table.

    Attributes:
        what: In words, after "rows with".
        rows: Which rows: shape ``(n_rows,)``.
    """

    what: str
    rows: Mask


def find_problems(table: pa.Table) -> list[Problem]:
    """What is wrong with rows; of a table that lacks columns, as far as those that it has tell.

    Args:
        table: Columns of ``SCHEMA``, all or some.

    Returns:
        Nothing where all is well.
    """
    found = [*_nulls(table), *_words(table), *_ranges(table), *_clips(table), *_scores(table), *_examples(table)]
    return [problem for problem in found if problem.rows.any()]


def difference(rows: pa.Table, belongs: Mapping[str, Collection[str]]) -> str | None:
    """How rows differ from what all rows of a study have in common; None where they do not.

    Args:
        rows: Columns of ``SCHEMA``.
        belongs: By column the values that it may hold: one, or one for each of several tasks.
    """
    for name, ours in belongs.items():
        others = [value for value in rows[name].unique().to_pylist() if value not in ours]
        if others:
            return f"{name} {others[0]!r} there, {' or '.join(map(repr, sorted(ours)))} in this study"
    return None


def _has(table: pa.Table, *names: str) -> bool:
    return {*names} <= {*table.column_names}


def _nulls(table: pa.Table) -> Iterator[Problem]:
    for name in table.column_names:
        if name not in MAY_BE_NULL and table[name].null_count:
            yield Problem(what=f"no {name}", rows=~valid_in(table[name]))


def _words(table: pa.Table) -> Iterator[Problem]:
    """Words that are none of those which there are."""
    known = {"state": {state.value for state in TrialState}, "split": {*SPLITS}}
    for name, words in known.items():
        if _has(table, name):
            yield Problem(what=f"an unknown {name}", rows=valid_in(table[name]) & none_of(table[name], words))


def _ranges(table: pa.Table) -> Iterator[Problem]:
    """Numbers below what they can be, or above."""
    for name, (least, most) in RANGES.items():
        if _has(table, name):
            numbers = numbers_in(table[name])
            outside = ~((numbers >= least) & (numbers <= most))  # true of what is not a number
            yield Problem(what=f"{name} outside {least:g} to {most:g}", rows=valid_in(table[name]) & outside)
    if _has(table, "parameters_kept", "parameters_total"):
        more = numbers_in(table["parameters_kept"]) > numbers_in(table["parameters_total"])
        yield Problem(what="more parameters kept than there are", rows=more)


def _clips(table: pa.Table) -> Iterator[Problem]:
    """Clips that cannot be: of an unknown module or kind, of options that it does not take, a rate outside [0, 1)."""
    if not _has(table, "clips"):
        return
    wrong = [_wrong_clips(chunk) for chunk in table["clips"].chunks]
    yield Problem(what="a clip that there cannot be", rows=np.concatenate([np.zeros(0, bool), *wrong]))


def _wrong_clips(chunk: Any) -> Mask:
    clips = chunk.values
    layers, rates = (pa.chunked_array([clips.field(name)]) for name in ("layer", "clip_rate"))
    rate = numbers_in(rates)
    right = valid_in(layers) & valid_in(rates) & (numbers_in(layers) >= 0) & (rate >= 0) & (rate < 1)
    modules = pa.chunked_array([clips.field("module")])
    right &= valid_in(modules) & ~none_of(modules, MODULES)
    right &= _right_kinds(*(clips.field(name).dictionary_encode() for name in ("kind", "options")))
    wrong_before = np.concatenate([[0], np.cumsum(~right)])
    ends = ends_of(chunk)
    return np.asarray(np.diff(wrong_before[ends]) > 0)


def _right_kinds(kinds: Any, options: Any) -> Mask:
    """Where a kind takes the options beside it; each pair that there is is looked at once."""
    pairs = np.stack([_codes(kinds), _codes(options)])
    met, where = np.unique(pairs, axis=1, return_inverse=True)
    names, texts = ([*encoded.dictionary.to_pylist(), None] for encoded in (kinds, options))
    right = np.array([_is_kind(names[name], texts[text]) for name, text in met.T], dtype=bool)
    return right[where.ravel()] if len(right) else np.zeros(0, bool)


def _codes(encoded: Any) -> NDArray[np.int64]:
    """For each text its number in the dictionary; -1 for null."""
    indices = pa.chunked_array([encoded.indices])
    return np.where(valid_in(indices), numbers_in(indices), -1).astype(np.int64)


def _is_kind(name: str, options: str | None) -> bool:
    if name not in KINDS:
        return False
    try:
        complete(name, options)
    except SpecError:
        return False
    return True


def _scores(table: pa.Table) -> Iterator[Problem]:
    """Trials that were evaluated and have no scores, or failed and have some; parts that cannot be continued.

    Every task has accuracies, or, of text, likelihoods.
    """
    if not _has(table, "state", "accuracy", "nll"):
        return
    failed = ~none_of(table["state"], {TrialState.FAILED.value})
    scored = valid_in(table["accuracy"]) | valid_in(table["nll"])
    yield Problem(what="a state that has scores, and none of them", rows=~failed & ~scored)
    yield Problem(what="scores although the trial failed", rows=failed & scored)
    if _has(table, "n_examples"):
        yield Problem(what="scores of no examples", rows=scored & (numbers_in(table["n_examples"]) < 1))
    if _has(table, "tally"):
        partial = ~none_of(table["state"], {TrialState.PARTIAL.value})
        yield Problem(
            what="a part of a trial and no tally, or a damaged one", rows=partial & ~_readable(table["tally"])
        )


def _readable(column: pa.ChunkedArray[Any]) -> Mask:
    """Whether tallies are there and can be read; few rows have one."""
    return np.array([text is not None and _is_tally(text) for text in column.to_pylist()], dtype=bool)


def _is_tally(text: str) -> bool:
    try:
        Tally.of_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _examples(table: pa.Table) -> Iterator[Problem]:
    """Outcomes and margins of another number of examples; an accuracy that is not the mean of the outcomes."""
    if not _has(table, "n_examples"):
        return
    count = numbers_in(table["n_examples"]).astype(np.int64)
    if _has(table, "margins"):
        margins = lengths_in(table["margins"]) == count * MARGIN_DTYPE.itemsize
        yield Problem(what="margins of another number of examples", rows=valid_in(table["margins"]) & ~margins)
    for name, dtype in (("loglikelihoods", LOGLIKELIHOOD_DTYPE), ("tokens", TOKENS_DTYPE)):
        if _has(table, name):
            fits = lengths_in(table[name]) == count * dtype.itemsize
            yield Problem(what=f"{name} of another number of examples", rows=valid_in(table[name]) & ~fits)
    if _has(table, "outcomes", "loglikelihoods"):
        fits = lengths_in(table["outcomes"]) == np.where(valid_in(table["loglikelihoods"]), 0, (count + 7) // 8)
        yield Problem(what="outcomes of another number of examples", rows=~fits)
        if _has(table, "accuracy"):
            right = np.concatenate([np.zeros(0, np.int64), *map(_count_bits, table["outcomes"].chunks)])
            differs = np.abs(numbers_in(table["accuracy"]) - right / np.maximum(count, 1)) > 10.0**-ACCURACY_DIGITS
            told = valid_in(table["accuracy"]) & fits & (count > 0)
            yield Problem(what="an accuracy that is not the mean of the outcomes", rows=told & differs)


def _count_bits(chunk: pa.Array[Any]) -> NDArray[np.int64]:
    """How many bits are set in each of some bytes."""
    data = chunk.buffers()[2]
    ends = ends_of(chunk)
    if data is None:
        return np.zeros(len(chunk), np.int64)
    counts = BITS[view(data, "u1")[ends[0] : ends[-1]]]
    before = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray(np.diff(before[ends - ends[0]]))


def none_of(column: pa.ChunkedArray[Any], words: Container[str]) -> Mask:
    """Where a text is none of some words; null is none of them. Each text that there is is looked at once."""
    parts = [np.zeros(0, bool)]
    for chunk in column.chunks:
        encoded: Any = chunk.dictionary_encode()
        known = np.array([text in words for text in encoded.dictionary.to_pylist()] or [False], dtype=bool)
        valid = valid_in(pa.chunked_array([chunk]))
        indices = numbers_in(pa.chunked_array([encoded.indices]))
        parts.append(~(known[np.where(valid, indices, 0)] & valid))
    return np.concatenate(parts)
