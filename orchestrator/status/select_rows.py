"""Which stored rows are shown, and in which order: conditions on columns, a column to sort by, the first so many."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clipsweep.analysis.row.row import SCHEMA, SEVERAL, TEXT, TIME, StoredRow, kind_of
from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION

NULL = "null"
CONDITION = re.compile(r"\s*([^=!<>\s]+)\s*(==|=|!=|<=|>=|<|>)(.*)", re.DOTALL)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
WANTED = "expected COLUMN=VALUE, or another of = != < <= > >=, as in --where 'shots=10'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition on a row.

    Attributes:
        column: Of the stored row.
        sign: One of ``COMPARE``.
        value: In the column's type; None for null.
    """

    column: str
    sign: str
    value: Any

    def holds(self, row: StoredRow) -> bool:
        """Whether a row meets it; null equals null, and is neither above nor below anything."""
        stored = row.cells.value(self.column, row.number)
        if stored is None or self.value is None:
            return self.sign in {"=", "!="} and COMPARE[self.sign](stored, self.value)
        return COMPARE[self.sign](stored, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows, in which order.

    Attributes:
        conditions: That all hold.
        column: To sort by; None for the order in which trials finished.
        descending: Whether the largest value comes first; null comes last in any case.
        top: How many of the first; None for all.
        whole_first: Whether complete trials come before others, and of those the ones on validation rows.
    """

    conditions: tuple[Condition, ...] = ()
    column: str | None = None
    descending: bool = False
    top: int | None = None
    whole_first: bool = False

    def best_by(self, metric: str) -> Selection:
        """The same; without a column to sort by, the first so many are the best by a metric.

        Trials that saw all validation rows come first, then those that saw all test rows, then the others.
        """
        if self.top is None or self.column is not None:
            return self
        return replace(self, column=metric, descending=not METRICS[metric].lower_is_better, whole_first=True)

    def of(self, rows: Iterable[StoredRow]) -> list[StoredRow]:
        """The rows that are selected, in their order."""
        kept = [row for row in rows if all(condition.holds(row) for condition in self.conditions)]
        if self.column is not None:
            valued = [row for row in kept if row.cells.value(self.column, row.number) is not None]
            valued.sort(key=self._value, reverse=self.descending)
            kept = valued + [row for row in kept if row.cells.value(self.column, row.number) is None]
        if self.whole_first:
            kept.sort(key=_how_whole)
        return kept[: self.top]

    def _value(self, row: StoredRow) -> Any:
        return row.cells.value(self.column or "", row.number)


def _how_whole(row: StoredRow) -> int:
    """Its place among rows that are sorted by how much their scores say: few rows say little."""
    if not row.is_complete:
        return 2
    return 0 if row.split == VALIDATION else 1


def parse_selection(where: Sequence[str], sort: str | None, top: int | None) -> Selection:
    """Read what ``--where``, ``--sort`` and ``--top`` take.

    Args:
        where: ``COLUMN=VALUE`` and the like.
        sort: A column, with a minus before it for the largest first.
        top: How many rows.

    Raises:
        SpecError: An unknown column, one that cannot be compared, or a value of another type.
    """
    column = None if sort is None else _column(sort.removeprefix("-"), "--sort")
    return Selection(
        conditions=tuple(map(parse_condition, where)),
        column=column,
        descending=sort is not None and sort.startswith("-"),
        top=top,
    )


def parse_condition(text: str) -> Condition:
    """Read one condition.

    Raises:
        SpecError: As ``parse_selection``.
    """
    found = CONDITION.fullmatch(text)
    if found is None:
        raise SpecError(f"--where {text!r} compares nothing; {WANTED}.")
    name, sign, value = found.groups()
    column, sign = _column(name, "--where"), "=" if sign == "==" else sign
    return Condition(column=column, sign=sign, value=_typed(column, value.strip().strip("'\""), text))


def _column(name: str, option: str) -> str:
    """A column that can be compared."""
    comparable = [known for known in SCHEMA.names if kind_of(known) != SEVERAL]
    if name in comparable:
        return name
    if name in SCHEMA.names:
        raise SpecError(f"{option}: column {name!r} holds more than one value; expected one that can be compared.")
    raise SpecError(f"{option}: {unknown_name('column', name, comparable)}")


def _typed(column: str, text: str, condition: str) -> Any:
    """A value in its column's type."""
    kind = kind_of(column)
    if text == NULL:
        return None
    states = [state.value for state in TrialState]
    if column == "state" and text not in states:
        raise SpecError(f"--where {condition!r}: {unknown_name('state', text, states)}")
    try:
        if kind == TIME:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return text if kind == TEXT else float(text)
    except ValueError as error:
        wanted = "a time, as in 2026-01-31T12:00" if kind == TIME else "a number"
        raise SpecError(
            f"--where {condition!r}: column {column!r} is compared with {text!r}; expected {wanted}, or null."
        ) from error
