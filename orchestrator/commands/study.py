"""Commands that look at a study that has been run, or is running: ``status``, ``best``, ``report``, ``list``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipsweep.orchestrator.commands.watch import watch_study
from clipsweep.orchestrator.folder.study_folder import STUDIES
from clipsweep.orchestrator.terminal.shell import BAD_INPUT, FAILED, AsJson, Folder, print_json, refusing, tell
from clipsweep.trials.base.errors import SpecError


@refusing
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live, as 'clipsweep watch' does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Progress, rate, time left and failures, how old that knowledge is, and whether the study runs."""
    if watch and as_json:
        raise SpecError("--watch draws on a terminal and --json prints one document; give one of the two.")
    if watch:
        watch_study(folder)
        return
    from clipsweep.orchestrator.status.status import status_of
    from clipsweep.orchestrator.status.words import describe_status

    document = status_of(folder)
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
    if (command := study.apply_command()) is not None:
        typer.echo(f"apply     {command}")


@refusing
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write it; default DIR/report.html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report: one file that opens offline."""
    from clipsweep.orchestrator.api import open_study

    path = open_study(folder).report(out)
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(path)


@refusing
def list_studies(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look.")] = STUDIES,
    as_json: AsJson = False,
) -> None:
    """The studies below a folder: how far each is, its best score, when it last ran."""
    from clipsweep.orchestrator.status.listing import describe_list
    from clipsweep.orchestrator.status.listing import list_studies as look
    from clipsweep.orchestrator.terminal.printing import print_list

    listed = look(folder)
    if as_json:
        print_json([each.document() for each in listed])
    elif listed:
        print_list(listed)
    else:
        tell(f"no study below {folder}; 'clipsweep run quickstart' makes one.")
    for line in (problems := describe_list(listed)):
        tell(line)
    if problems:
        raise typer.Exit(BAD_INPUT)
