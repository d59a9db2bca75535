"""``clipsweep results``: stored rows, those that are asked for, in the format that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from clipsweep.orchestrator.terminal.shell import AsJson, Folder, print_json, refusing, tell, whole_number
from clipsweep.trials.base.errors import SpecError

RowFormat = Literal["table", "csv", "json", "jsonl", "markdown"]


@refusing
def results(
    folder: Folder,
    top: Annotated[int | None, whole_number(1, "Show so many rows: the best, or the first by --sort.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort by a column; -COLUMN puts the largest first.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Keep rows with COLUMN=VALUE, or != < <= > >=; several must all hold."),
    ] = None,
    row_format: Annotated[
        RowFormat | None,
        typer.Option("--format", metavar="FORMAT", help="table (the default), csv, json, jsonl or markdown."),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(metavar="SELECT", help="Answer a SELECT about the tables trials and points (needs DuckDB)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The latest attempt of each trial, or what a question in SQL gives."""
    from clipsweep.analysis.store.rows import plain_rows
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.status.select_rows import parse_selection
    from clipsweep.orchestrator.terminal import printing

    if as_json and row_format not in {None, "json"}:
        raise SpecError(f"--json and --format {row_format} contradict each other; give one of the two.")
    if sql is not None:
        _answer(folder, sql, "json" if as_json else row_format or "table", others=[*(where or []), sort, top])
        return
    selection = parse_selection(where or [], sort, top)
    study = open_study(folder)
    selection = selection.best_by(study.metric)
    rows = selection.of(study.stored_rows())
    if not rows and where:
        tell(f"no row matches {' and '.join(where)}")
    also = [each.column for each in selection.conditions] + ([selection.column] if selection.column else [])
    if as_json or row_format == "json":
        print_json(list(plain_rows(rows)))
    elif row_format == "csv":
        printing.print_rows_csv(rows)
    elif row_format == "jsonl":
        printing.print_rows_lines(rows)
    elif row_format == "markdown":
        printing.print_rows_markdown(rows, also)
    else:
        printing.print_rows_table(rows, also)


def _answer(folder: Path, sql: str, row_format: str, others: Sequence[Any]) -> None:
    """Print what a question in SQL gives."""
    from clipsweep.orchestrator.folder.open_study import reopen
    from clipsweep.orchestrator.folder.snapshot import Snapshot
    from clipsweep.orchestrator.status.ask_sql import ask
    from clipsweep.orchestrator.terminal.printing import print_values

    if any(each is not None for each in others):
        raise SpecError("--sql says itself which rows it wants: leave out --where, --sort and --top.")
    answer = ask(Snapshot.take(reopen(folder)), sql)
    print_values(answer.columns, answer.rows, row_format)
