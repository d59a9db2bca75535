"""Commands that help to write a study file: ``init``, ``schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.terminal.shell import AsJson, print_json, refusing, tell

FILE = StudyFolder(Path()).study  # called as the study file of a folder is


@refusing
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = FILE,
    model: Annotated[str, typer.Option(help="A folder, a hub name, or 'embedded'.")] = "embedded",
    task: Annotated[str, typer.Option(help="Name of a task, such as sst2.")] = "episodes",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented study file to start from."""
    from clipsweep.orchestrator.editing.draft import write_draft

    write_draft(file, model, task, force=force)
    if as_json:
        print_json({"file": str(file)})
    else:
        typer.echo(file)
        tell(f"next: clipsweep run {file} --dry-run")


@refusing
def schema() -> None:
    """The JSON schema of a study file, for editors that complete and check YAML."""
    from clipsweep.orchestrator.editing.json_schema import study_schema

    print_json(study_schema())
