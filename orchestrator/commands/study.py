"""Commands that look at a study that has been run, or is running: ``status``, ``best``, ``results``, ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from clipsweep.orchestrator.commands.shell import FAILED, AsJson, Folder, print_json, refusing, tell

RowFormat = Literal["table", "csv"]


@refusing
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Progress, rate, time left and failures."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.status.status import describe_status

    document = open_study(folder).status()
    if as_json:
        print_json(document)
    else:
        typer.echo(describe_status(document))


@refusing
def best(folder: Folder, as_json: AsJson = False) -> None:
    """The winner, its baseline and its gain."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.status.answer import NO_WINNER

    study = open_study(folder)
    answer = study.best() if as_json else study.describe()
    if answer is None:
        tell(NO_WINNER)
        raise typer.Exit(FAILED)
    if as_json:
        print_json(answer)
        return
    typer.echo(answer)
    if (front := study.describe_front()) is not None:
        typer.echo(front)


@refusing
def results(
    folder: Folder,
    row_format: Annotated[RowFormat, typer.Option("--format", help="How to print the rows.")] = "table",
    as_json: AsJson = False,
) -> None:
    """The latest attempt of each trial."""
    from clipsweep.analysis.store.row import jsonable
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.commands.printing import print_rows_csv, print_rows_table

    rows = open_study(folder).stored_rows()
    if as_json:
        print_json([jsonable(row) for row in rows])
    elif row_format == "csv":
        print_rows_csv(rows)
    else:
        print_rows_table(rows)


@refusing
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="Where to write it; default DIR/report.html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report: one file that opens offline."""
    from clipsweep.orchestrator.api import open_study

    path = open_study(folder).report(out)
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(path)
