"""``clipsweep figures``: figures for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from clipsweep.orchestrator.terminal.shell import AsJson, print_json, refusing


@refusing
def figures(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of one or several studies.")],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Draw this figure alone; may be given more than once."),
    ] = None,
    file_format: Annotated[
        Literal["svg", "pdf", "png"], typer.Option("--format", help="Of figures; tables come as csv, md and tex.")
    ] = "svg",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where to write; default DIR/figures.")
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="Also draw the paper's own curves.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the figures that a study has the rows for: figure1, figure2, atlas and others, with their captions."""
    from clipsweep.orchestrator.figures import write_figures

    written = write_figures(folders, only=only or (), file_format=file_format, out=out, published=published)
    if as_json:
        print_json({name: [str(path) for path in paths] for name, paths in written.items()})
    else:
        for path in (path for paths in written.values() for path in paths):
            typer.echo(path)
