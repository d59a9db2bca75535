"""``clipsweep compare``: studies side by side, or beside the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipsweep.orchestrator.terminal.shell import AsJson, print_json, refusing, whole_number
from clipsweep.orchestrator.words import SHOWN


@refusing
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of studies; the first is compared with.")
    ],
    published: Annotated[
        bool, typer.Option("--published", help="Compare with the paper's published numbers; one folder is enough.")
    ] = False,
    top: Annotated[int | None, whole_number(1, f"Points, or curves, shown; default {SHOWN}.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Also draw it: a file that ends in .html, .svg, .pdf or .png."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Studies side by side: what differs, who won, what it cost, and point by point what both have."""
    from clipsweep.orchestrator.comparison.compare import compare as look
    from clipsweep.orchestrator.comparison.file import check_file

    if out is not None:
        check_file(out)
    comparison = look(folders, published=published)
    shown = SHOWN if top is None else top
    if out is not None:
        comparison.write(out, shown)
    if as_json:
        print_json(comparison.document(shown))
    else:
        typer.echo(comparison.describe(shown))
