"""Commands that look after a study's folder: ``verify``, ``compact``."""

from __future__ import annotations

from typing import Annotated

import typer

from clipsweep.orchestrator.terminal.shell import FAILED, AsJson, Folder, print_json, refusing, tell


@refusing
def verify(
    folder: Folder,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move damaged files into DIR/damaged; running again makes their trials anew."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every file and check every row; exit code 1 where something is wrong."""
    from clipsweep.orchestrator.folder.lock import study_lock
    from clipsweep.orchestrator.folder.open_study import reopen
    from clipsweep.orchestrator.upkeep.repair import repair as mend
    from clipsweep.orchestrator.upkeep.verify import describe_verified, verify_study

    opened = reopen(folder)
    moved: list[str] = []
    verified = verify_study(opened)
    if repair and verified.faults:
        with study_lock(opened.folder) as held:
            opened.table.take_over(held.token, held.check)
            verified = verify_study(opened)  # again, now that no run changes anything
            moved = mend(opened, verified)
        verified = verify_study(reopen(folder))
    if as_json:
        print_json(verified.document() | {"moved": moved})
    else:
        typer.echo(describe_verified(verified))
    for path in moved:
        tell(f"moved to {folder / path}")
    if moved:
        tell(f"trials that have no row now run again with: clipsweep run {opened.folder.study} --dir {folder}")
    elif verified.faults and not repair:
        tell(f"'clipsweep verify {folder} --repair' moves what is damaged aside; nothing is deleted.")
    if verified.faults:
        raise typer.Exit(FAILED)


@refusing
def compact(folder: Folder, as_json: AsJson = False) -> None:
    """Put all rows into few files; nothing is lost whenever it is cut off."""
    from clipsweep.orchestrator.folder.open_study import reopen
    from clipsweep.orchestrator.upkeep.compact import compact_study, describe_compacted

    done = compact_study(reopen(folder))
    if as_json:
        print_json(done.document())
    else:
        typer.echo(describe_compacted(done))
