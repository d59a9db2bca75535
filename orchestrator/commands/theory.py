"""``clipsweep theory``: whether the paper's theory predicts what a study's clips gain."""

from __future__ import annotations

import shutil

import typer

from clipsweep.orchestrator.terminal.shell import AsJson, Folder, print_json, refusing


@refusing
def theory(folder: Folder, as_json: AsJson = False) -> None:
    """Whether the paper's theory predicts what clips gain: rank correlations beside simpler quantities, and reach."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.theory.words import WIDTH, describe_theory

    found = open_study(folder).theory()
    if as_json:
        print_json(found.document())
    else:
        typer.echo(describe_theory(found, shutil.get_terminal_size((WIDTH, 24)).columns))
