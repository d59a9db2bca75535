"""Questions in SQL about a study's trials and points, answered by DuckDB in memory: nothing is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.trials.base.errors import SpecError

if TYPE_CHECKING:
    import pandas

TRIALS, POINTS = "trials", "points"
INSTALL = "--sql needs DuckDB, which is not installed. Install it with: pip install 'clipsweep[sql]'"
CLOSED = {"enable_external_access": "false"}  # no file is read or written, no extension loaded


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gave.

    Attributes:
        columns: Their names.
        rows: A value for each column, as DuckDB makes Python's.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def ask(snapshot: Snapshot, sql: str) -> Answer:
    """Answer one SELECT about the views ``trials``, the latest attempt of each trial, and ``points``.

    Times are in UTC, without their zone; ``outcomes``, ``margins`` and values of windows are bytes, as in the files.

    Raises:
        SpecError: DuckDB is not installed, or the question is none that can be answered.
    """
    try:
        import duckdb
    except ImportError as error:
        raise SpecError(INSTALL) from error
    with duckdb.connect(":memory:", config=CLOSED) as connection:
        try:
            kinds = [statement.type for statement in duckdb.extract_statements(sql)]
            if kinds != [duckdb.StatementType.SELECT]:
                raise SpecError(f"--sql {sql!r} is no single SELECT, which is expected: stored rows do not change.")
            connection.execute("SET python_enable_replacements = false; SET TimeZone = 'UTC'")
            for name, rows in _views(snapshot, sql).items():
                connection.register(name, rows)
            found = connection.execute(sql)
            return Answer([each[0] for each in found.description], found.fetchall())
        except duckdb.Error as error:
            said = f"{_in_one_line(error)} The tables are trials and points."
            raise SpecError(f"--sql cannot be answered: {said}") from error


def _views(snapshot: Snapshot, sql: str) -> dict[str, Any]:
    """The tables that a question may name; those whose names are not in it are left out, as they take time."""
    views: dict[str, Any] = {TRIALS: _trials, POINTS: _points}
    return {name: make(snapshot) for name, make in views.items() if re.search(rf"\b{name}\b", sql, re.IGNORECASE)}


def _trials(snapshot: Snapshot) -> Any:
    """The stored columns as an Arrow table; times without their zone, for which DuckDB may want a library."""
    table = snapshot.rows.table()
    for name in ("started_at", "finished_at"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast("timestamp[us]"))
    return table


def _points(snapshot: Snapshot) -> pandas.DataFrame:
    """The point frame, its tuples as lists and its clips as mappings."""
    from clipsweep.analysis.frames.point_frame import point_frame  # loads pandas

    points = point_frame(snapshot.standings)
    lists = {name: [list(each) for each in points[name]] for name in ("trial_ids", "baseline_ids", "test_ids")}
    return points.assign(clips=[[asdict(clip) for clip in clips] for clips in points["clips"]], **lists)


def _in_one_line(error: Exception) -> str:
    """What DuckDB says, without the question and the arrow below it."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split()).rstrip(".!") + "."
