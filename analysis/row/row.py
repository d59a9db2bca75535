"""A stored row: one attempt at a trial, with a name and a type for each of its values."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipsweep.analysis.row.arrays import ends_of
from clipsweep.analysis.row.columns import Cells, Column, RecordCells
from clipsweep.analysis.row.packing import (
    outcomes_as_text,
    unpack_loglikelihoods,
    unpack_margins,
    unpack_outcomes,
    unpack_tokens,
)
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.versions import RECORDED
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.result import TrialState

# 2: demonstrations; 3: tally; 4: margins; 5: state "partial", no params; 6: options of a clip; 7: text; 8: theory
SCHEMA_VERSION = 8

_CLIP = pa.struct(
    [
        ("layer", pa.int32()),
        ("module", pa.string()),
        ("clip_rate", pa.float64()),
        ("kind", pa.string()),
        ("options", pa.string()),
    ]
)
_CLIP_FIELDS = [field.name for field in fields(Clip)]
_TIME = pa.timestamp("us", tz="UTC")
_ASKED = "null unless the study asked for it (`theory`)"
_VERSIONS = pa.struct([(name, pa.string()) for name in ("clipsweep", *RECORDED)])

CLIPS_KEPT = 2**14  # of which many rows are made
Record = dict[str, Any]  # a row's plain values by column, as pyarrow takes them


def _read_clips(stored: Sequence[Mapping[str, Any]]) -> tuple[Clip, ...]:
    return tuple(Clip(**clip) for clip in stored)


def _read_tally(stored: str | None) -> Tally | None:
    try:
        return None if stored is None else Tally.of_json(json.loads(stored))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(
            f"a stored row has a tally that is none ({error!r}). 'clipsweep verify' names its file; move that away."
        ) from error


@lru_cache(maxsize=CLIPS_KEPT)
def _clip(layer: int, module: str, clip_rate: float, kind: str, options: str | None) -> Clip:
    return Clip(layer=layer, module=module, clip_rate=clip_rate, kind=kind, options=options)


def clips_in(column: pa.ChunkedArray[Any]) -> Iterator[tuple[Clip, ...]]:
    """The clips of many rows, in a tenth of the time that it takes row by row."""
    for chunk in column.chunks:
        listed: Any = chunk
        fields = [listed.values.field(name).to_pylist() for name in _CLIP_FIELDS]
        clips = list(map(_clip, *fields))
        for first, end in pairwise(ends_of(listed).tolist()):
            yield tuple(clips[first:end])


class StoredRow:
    """One attempt at a trial, as it is stored.

    The values stay in the table that the row was read from until they are asked for. A row does not change.
    ``docs/howto/results.md`` lists the columns with their meaning and unit. Below, None stands for null.
    """

    __slots__ = ("cells", "number")

    trial_id: Column[str] = Column(
        pa.string(),
        "Hash of what determines the result: model, dtype, ranks left, task and its rows, shots, "
        "demonstration seed, split.",
    )
    study: Column[str] = Column(pa.string(), "Name of the study.")
    state: Column[TrialState] = Column(
        pa.string(),
        "`complete`; `partial`: waits for its next part in a race; `pruned`: stopped by the race; `failed`.",
        convert=TrialState,
    )
    attempt: Column[int] = Column(pa.int32(), "Number of the attempt at the trial, from 1.")
    model: Column[str] = Column(pa.string(), "The model as the study names it: a folder or a name of the hub.")
    model_fingerprint: Column[str] = Column(pa.string(), "Hash of the checkpoint: its weights, config and tokenizer.")
    dtype: Column[str] = Column(pa.string(), "What the model ran in, such as `float16`.")
    task: Column[str] = Column(pa.string(), "Name of the task.")
    variant: Column[str] = Column(pa.string(), "Variant of the task.")
    task_fingerprint: Column[str] = Column(pa.string(), "Hash of the task with its rows.")
    split: Column[str] = Column(pa.string(), "`validation` or `test`.")
    shots: Column[int] = Column(pa.int32(), "Demonstrations asked for in the prompt.", unit="demonstrations")
    demo_seed: Column[int] = Column(pa.int64(), "Seed that draws the demonstrations.")
    clips: Column[tuple[Clip, ...]] = Column(
        pa.list_(_CLIP),
        "What is clipped: a list of `layer` (from 0), `module`, `clip_rate` (fraction of the singular values "
        "dropped), `kind`, and `options` (what the kind takes besides, as JSON; null for none).",
        convert=_read_clips,
    )
    layer: Column[int | None] = Column(pa.int32(), "Layer of the clip, from 0, where it is one alone; else null.")
    module: Column[str | None] = Column(pa.string(), "Module of the clip, where it is one alone; else null.")
    clip_rate: Column[float | None] = Column(
        pa.float64(),
        "Fraction of the singular values that the clip drops, where it is one alone; else null.",
        unit="fraction",
    )
    n_examples: Column[int] = Column(
        pa.int32(),
        "Examples that the trial has seen, the first of the split.",
        unit="examples",
    )
    accuracy: Column[float | None] = Column(
        pa.float64(),
        "Share of these that were answered rightly; null if the trial failed, and of text.",
        unit="fraction",
    )
    macro_f1: Column[float | None] = Column(
        pa.float64(),
        "F1, averaged over the classes; null if the trial failed, and where there are no classes, as where answers "
        "differ by row.",
        unit="fraction",
    )
    gold_logprob: Column[float | None] = Column(
        pa.float64(),
        "Mean log-probability of the right label, renormalised over the labels where there are several (where scores "
        "are divided by an answer's length, the logarithm of their softmax); null if the trial failed, and of text.",
        unit="nats",
    )
    calibration_error: Column[float | None] = Column(
        pa.float64(),
        "Expected calibration error over 10 bins of the top label's probability; null if the trial failed, and where "
        "that is not known: no labels to choose among, or scores that are divided by an answer's length.",
        unit="fraction",
    )
    _outcomes: Column[bytes] = Column(
        pa.binary(),
        "Right or wrong, a bit for each example, the first in the highest bit; empty of text.",
    )
    parameters_kept: Column[int] = Column(
        pa.int64(),
        "Parameters of the model that the clips leave.",
        unit="parameters",
    )
    parameters_total: Column[int] = Column(pa.int64(), "Parameters of the model.", unit="parameters")
    operations: Column[int] = Column(
        pa.int64(),
        "What the trial takes by the cost model.",
        unit="floating-point operations",
    )
    engine_path: Column[str | None] = Column(
        pa.string(),
        "Which of the engine's ways ran: `sub-layer`, `blocks` or `full-prompts`; null if the trial failed.",
    )
    microbatch: Column[int] = Column(pa.int32(), "Prompts in a forward pass.", unit="prompts")
    seconds: Column[float] = Column(pa.float64(), "Wall time of the evaluation, of all its parts.", unit="seconds")
    replica: Column[str] = Column(pa.string(), "Replica that ran it.")
    node: Column[str] = Column(pa.string(), "Host name of the machine that ran it.")
    device: Column[str] = Column(pa.string(), "Device that ran it, such as `cuda:0`.")
    error: Column[str | None] = Column(pa.string(), "Last line of the traceback; null unless the trial failed.")
    log_path: Column[str | None] = Column(
        pa.string(),
        "File in the study's folder that holds the whole traceback; null unless the trial failed.",
    )
    started_at: Column[datetime] = Column(_TIME, "When the first part of the trial began.", unit="UTC")
    finished_at: Column[datetime] = Column(_TIME, "When the attempt ended.", unit="UTC")
    versions: Column[dict[str, str | None]] = Column(
        _VERSIONS,
        "Versions of clipsweep, torch, transformers and ray (null without Ray).",
    )
    schema_version: Column[int] = Column(
        pa.int32(),
        "Of the columns; null stands in those that a file of an older version lacks.",
    )
    demonstrations: Column[int | None] = Column(
        pa.int32(),
        "How many were in the prompt, which may be fewer than asked for (`task.truncate`); null if the trial failed.",
        unit="demonstrations",
    )
    tally: Column[Tally | None] = Column(
        pa.string(),
        "Counts, as JSON, that the next part of a `partial` trial is added to; else null.",
        convert=_read_tally,
    )
    _margins: Column[bytes | None] = Column(
        pa.binary(),
        "How far the right label was ahead in each example, in the task's unit of scores (mostly nats): a "
        "little-endian half-precision number each; null if the trial failed, and of text.",
    )
    nll: Column[float | None] = Column(
        pa.float64(),
        "Mean negative log-likelihood of a token of text, less being better; null of tasks with answers.",
        unit="nats",
    )
    perplexity: Column[float | None] = Column(
        pa.float64(),
        "The exponential of `nll`; null of tasks with answers.",
    )
    _loglikelihoods: Column[bytes | None] = Column(
        pa.binary(),
        "Log-likelihood of each window of text, summed over its scored tokens: a little-endian single-precision number "
        "each; null of tasks with answers.",
        unit="nats",
    )
    _tokens: Column[bytes | None] = Column(
        pa.binary(),
        "Tokens that were scored in each window of text: a little-endian unsigned 32-bit integer each; null of tasks "
        "with answers.",
        unit="tokens",
    )
    log_delta_w: Column[list[float | None] | None] = Column(
        pa.list_(pa.float64()),
        f"Of each block the natural log of the norm of `ΔW_t`, attention taken to be linear; {_ASKED}.",
    )
    log_delta_w_softmax: Column[list[float | None] | None] = Column(
        pa.list_(pa.float64()),
        f"The same in the feature space of the softmax kernel; {_ASKED}.",
    )
    log_implicit_gradient: Column[list[float | None] | None] = Column(
        pa.list_(pa.float64()),
        f"Of each block the natural log of the norm of the implicit gradient `G_t`; {_ASKED}.",
    )
    theory_seconds: Column[float | None] = Column(
        pa.float64(),
        f"Wall time that measuring these three took in all parts, a part of `seconds`; what trials that ran together "
        f"measured together is shared equally among them; of a trial that was measured after it had been scored, what "
        f"reading its demonstrations once more took, besides `seconds`; {_ASKED}.",
        unit="seconds",
    )

    def __init__(self, cells: Cells, number: int = 0) -> None:
        """Point at one row of a table.

        Args:
            cells: Of the table.
            number: Of the row in it, from 0.
        """
        self.cells = cells
        self.number = number

    @classmethod
    def of(cls, record: Record) -> StoredRow:
        """The row of plain values by column; columns that are missing are null."""
        return cls(RecordCells(record))

    @property
    def outcomes(self) -> NDArray[np.bool_]:
        """Right or wrong for each example that was evaluated, from the split's first: shape ``(n_examples,)``.

        Empty of text, which knows no right and wrong; see ``example_scores``.
        """
        packed = self._outcomes
        return unpack_outcomes(packed, self.n_examples if packed else 0)

    @property
    def is_text(self) -> bool:
        """Whether the likelihood of text was scored, and not answers."""
        return self._loglikelihoods is not None

    @property
    def loglikelihoods(self) -> NDArray[np.float64] | None:
        """Of each window of text, summed over its scored tokens, natural log: shape ``(n_examples,)``; else None."""
        return None if self._loglikelihoods is None else unpack_loglikelihoods(self._loglikelihoods)

    @property
    def tokens(self) -> NDArray[np.int64] | None:
        """How many tokens were scored in each window of text: shape ``(n_examples,)``; else None."""
        return None if self._tokens is None else unpack_tokens(self._tokens)

    @property
    def example_scores(self) -> NDArray[np.float64]:
        """What each example counts in a comparison, more being better: shape ``(n_examples,)``.

        Right or wrong as 1 or 0; of text the mean log-likelihood of the window's scored tokens.
        """
        loglikelihoods, tokens = self.loglikelihoods, self.tokens
        if loglikelihoods is None or tokens is None:
            return self.outcomes.astype(np.float64)
        return loglikelihoods / tokens

    @property
    def example_weights(self) -> NDArray[np.float64] | None:
        """How much each example weighs in a mean: of text its scored tokens; None where all weigh the same."""
        tokens = self.tokens
        return None if tokens is None else tokens.astype(np.float64)

    @property
    def implicit(self) -> ImplicitNorms | None:
        """What its demonstrations do by the paper's theory; None where that was not measured."""
        updates, softmax, gradients = self.log_delta_w, self.log_delta_w_softmax, self.log_implicit_gradient
        if updates is None or softmax is None or gradients is None:
            return None
        return ImplicitNorms(
            delta_w=tuple(updates),
            delta_w_softmax=tuple(softmax),
            implicit_gradient=tuple(gradients),
            seconds=self.theory_seconds or 0.0,
        )

    @property
    def margins(self) -> NDArray[np.float64] | None:
        """How far the right label was ahead in each of those examples: shape ``(n_examples,)``.

        None where the trial failed, and in rows that were stored, or begun, before schema version 4.
        """
        return None if self._margins is None else unpack_margins(self._margins)

    @property
    def has_margins(self) -> bool:
        """Whether ``margins`` are there; cheaper than to unpack them."""
        return self._margins is not None

    @property
    def is_complete(self) -> bool:
        """Whether the trial has seen all rows of its split."""
        return self.state is TrialState.COMPLETE

    @property
    def has_scores(self) -> bool:
        """Whether it was evaluated, on all rows or, in a race, on the first of them."""
        return self.state.has_scores

    @property
    def is_cut_short(self) -> bool:
        """Whether it has scores, but of the first rows alone."""
        return self.has_scores and not self.is_complete

    def score(self, metric: str) -> float:
        """Its score by a metric, in that metric's unit. The row must have scores."""
        value: float | None = self.cells.value(metric, self.number)
        assert value is not None, f"only rows with scores are asked for one; {self.trial_id} has no {metric}"
        return value

    def goodness(self, metric: str) -> float:
        """Its score by a metric, turned so that more is better. The row must have scores."""
        return METRICS[metric].goodness(self.score(metric))

    def record(self) -> Record:
        """Its plain values by column, as they are stored."""
        return {name: self.cells.value(name, self.number) for name in SCHEMA.names}

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal."""
        return isinstance(other, StoredRow) and self.record() == other.record()

    def __hash__(self) -> int:
        """By trial and attempt."""
        return hash((self.trial_id, self.attempt))

    def __repr__(self) -> str:
        """Which trial it is, and how it ended."""
        return f"StoredRow(trial_id={self.trial_id!r}, attempt={self.attempt}, state={self.state.value!r})"


def _columns() -> list[Column[Any]]:
    return [column for column in vars(StoredRow).values() if isinstance(column, Column)]


COLUMNS: tuple[Column[Any], ...] = tuple(_columns())
SCHEMA = pa.schema([(column.name, column.arrow) for column in COLUMNS])
DESCRIBED = pa.schema([SCHEMA.field(column.name).with_metadata(column.description) for column in COLUMNS])

PACKED = ("margins", "loglikelihoods", "tokens")  # numbers as bytes, with outcomes, which are bits
OF_BLOCKS = ("log_delta_w", "log_delta_w_softmax", "log_implicit_gradient")  # a number for each block
NUMBER, TEXT, TIME, SEVERAL = "number", "text", "time", "several"


def kind_of(column: str) -> str:
    """What a column of ``SCHEMA`` holds, for whoever compares its values: one of the four above."""
    kind = SCHEMA.field(column).type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return SEVERAL
    if pa.types.is_timestamp(kind):
        return TIME
    return TEXT if pa.types.is_string(kind) else NUMBER


def clip_record(clip: Clip) -> Record:
    """A clip as the column ``clips`` holds it."""
    return {name: getattr(clip, name) for name in _CLIP_FIELDS}  # asdict copies, and takes five times as long


def jsonable(row: StoredRow) -> Record:
    """A row with every value as JSON has it.

    Times are in ISO 8601, outcomes are 0 and 1, packed numbers are in Base64, and infinity is null.
    """
    record = row.record()
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in record.items()}
    return plain | {
        "outcomes": outcomes_as_text(record["outcomes"], record["n_examples"]),
        **{name: in_base64(record[name]) for name in PACKED},
        **{name: finite_of(record[name]) for name in OF_BLOCKS},
    }


def in_base64(packed: bytes | None) -> str | None:
    """Packed numbers as JSON has them."""
    return None if packed is None else base64.b64encode(packed).decode()


def finite_of(logs: Sequence[float | None] | None) -> list[float | None] | None:
    """Values of blocks as JSON has them, which knows no infinity: the logarithm of nothing is null."""
    return None if logs is None else [log if log is not None and math.isfinite(log) else None for log in logs]
