"""The command line: which commands there are. Each is a few lines in ``commands/``, over the Python API.

Commands import what they use when they are called: torch, transformers, Ray and the rest take seconds to load, and
'clipsweep status' needs none of them.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated

import typer

from clipsweep.orchestrator.commands import look, run, study
from clipsweep.trials.base.versions import RECORDED, __version__, package_version

app = typer.Typer(
    name="clipsweep",
    help="Search which singular values of a language model to throw away.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="Look at a model.", no_args_is_help=True)
task_app = typer.Typer(help="Look at a task.", no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clipsweep {__version__} from {Path(__file__).parent.parent}")
        found = {"python": platform.python_version(), **{name: package_version(name) for name in RECORDED}}
        typer.echo(", ".join(f"{name} {number or 'is not installed'}" for name, number in found.items()))
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print versions and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command()(run.run)
for command in (study.status, study.best, study.results, study.report, look.spectrum, look.doctor):
    app.command()(command)
model_app.command("show")(look.show_model)
task_app.command("show")(look.show_task)
app.add_typer(model_app, name="model")
app.add_typer(task_app, name="task")
