"""The command line: which commands there are. Each is a few lines in ``commands/``, over the Python API.

Commands import what they use when they are called: torch, transformers, Ray and the rest take seconds to load, and
'clipsweep status' needs none of them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from clipsweep.orchestrator.commands import evaluate, look, make, run, study, upkeep, watch
from clipsweep.orchestrator.commands.apply import apply
from clipsweep.orchestrator.commands.compare import compare
from clipsweep.orchestrator.commands.figures import figures
from clipsweep.orchestrator.commands.results import results
from clipsweep.orchestrator.commands.theory import theory
from clipsweep.orchestrator.terminal import shell
from clipsweep.trials.base.versions import RECORDED, __version__, package_version

GUIDE = "Start with: clipsweep run quickstart"

app = typer.Typer(
    name="clipsweep",
    help="Search which singular values of a language model to throw away.",
    epilog=GUIDE,
    no_args_is_help=True,
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
@shell.refusing
def main(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print versions and exit.")
    ] = False,
    quiet: shell.Quiet = False,
    verbose: shell.Verbose = False,
) -> None:
    """Take the options that stand before a command."""
    shell.prepare_output()
    shell.set_volume(quiet=quiet, verbose=verbose)


def _add(to: typer.Typer, command: Callable[..., None], *examples: str, name: str | None = None) -> None:
    """Add a command, with examples below its help, each in a line of its own."""
    lines = "\n\n".join(f"  clipsweep {example}" for example in examples)
    to.command(name, epilog=f"Examples:\n\n{lines}")(command)


_add(
    app,
    run.run,
    "run quickstart",
    "run study.yaml --dry-run",
    "run study.yaml --set 'space.shots=[0, 4]'",
    "run study.yaml --notify https://example.org/hooks/1",
)
_add(app, study.status, "status studies/quickstart", "status studies/quickstart --json", "status DIR --watch")
_add(app, watch.watch, "watch studies/quickstart", "watch /shared/my-study")
_add(app, study.best, "best studies/quickstart")
_add(app, results, "results DIR --top 5", "results DIR --where 'shots=10' --sort -accuracy", "results DIR --format csv")
_add(app, evaluate.flips, "flips studies/quickstart", "flips DIR TRIAL --limit 20")
_add(
    app,
    compare,
    "compare studies/grid studies/bayes",
    "compare studies/my-rte --published",
    "compare A B --top 30 --json",
    "compare A B -o compared.html",
)
_add(app, theory, "theory studies/my-study", "theory DIR --json")
_add(app, study.report, "report studies/quickstart --out report.html")
_add(
    app,
    figures,
    "figures studies/quickstart",
    "figures DIR --only figure1 --format pdf -o paper/figures",
    "figures DIR --only figure1 --only atlas --published",
)
_add(
    app,
    apply,
    "apply studies/quickstart -o quickstart-clipped --check",
    "apply studies/quickstart --format factored -o quickstart-thin",
    "apply --model embedded --clip layer=5,module=mlp,clip_rate=0.99,kind=svd -o clipped",
)
_add(app, study.list_studies, "list", "list /shared/studies --json", name="list")
_add(app, upkeep.verify, "verify studies/quickstart", "verify studies/quickstart --repair")
_add(app, upkeep.compact, "compact studies/quickstart")
_add(app, make.init, "init", "init sst2.yaml --task sst2 --model EleutherAI/gpt-j-6b")
_add(app, make.schema, "schema > clipsweep.schema.json")
_add(
    app,
    evaluate.evaluate,
    "evaluate embedded --task episodes --shots 4",
    "evaluate MODEL --task sst2 --path FOLDER --clip layer=-2,module=mlp,clip_rate=0.9 --against untouched",
)
_add(app, look.spectrum, "spectrum embedded --report", "spectrum MODEL --layers 0,-1", "spectrum MODEL --out m.parquet")
_add(app, look.doctor, "doctor", "doctor --json")
_add(model_app, look.show_model, "model show embedded", "model show EleutherAI/gpt-j-6b", name="show")
_add(task_app, look.show_task, "task show sst2 --model embedded", "task show study.yaml --row 3", name="show")
app.add_typer(model_app, name="model")
app.add_typer(task_app, name="task")
