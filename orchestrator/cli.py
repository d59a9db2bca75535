"""The command line. Each command is a few lines over the Python API and the modules that do the work.

Exit codes: 0 done, 1 the study failed or has failed trials, 2 bad input, 130 interrupted and resumable.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, ParamSpec

import typer
from rich.console import Console

from clipsweep.trials.base.errors import ClipsweepError, PoolError, StoreError
from clipsweep.trials.base.versions import RECORDED, __version__, package_version
from clipsweep.trials.models.settings import Dtype, ModelSettings

# Commands import what they use when they are called: torch, transformers, Ray and the rest take seconds to load, and
# 'clipsweep status' needs none of them.
if TYPE_CHECKING:
    from clipsweep.orchestrator.api import StudyHandle
    from clipsweep.orchestrator.study.schema import Study

P = ParamSpec("P")
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="clipsweep",
    help="Search which singular values of a language model to throw away.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="Look at a model.", no_args_is_help=True)
app.add_typer(model_app, name="model")
task_app = typer.Typer(help="Look at a task.", no_args_is_help=True)
app.add_typer(task_app, name="task")
errors = Console(stderr=True)

RowFormat = Literal["table", "csv"]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study, as 'clipsweep run' named it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def _refusing(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into a message and an exit code; any other error is a defect and keeps its traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ClipsweepError as error:
            _fail(error, FAILED if isinstance(error, PoolError | StoreError) else BAD_INPUT)
        except OSError as error:  # a folder that cannot be written, a full disk
            _fail(error, FAILED)

    return wrapped


def _fail(error: Exception, code: int) -> NoReturn:
    _tell(f"error: {error}")
    raise typer.Exit(code)


def _tell(message: str) -> None:
    """Print a message on standard error as it is: no markup, no wrapping."""
    errors.print(message, markup=False, highlight=False, soft_wrap=True)


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


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


@app.command()
@_refusing
def run(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A YAML file, or a shipped name such as quickstart.")],
    folder: Annotated[Path | None, typer.Option("--dir", help="Where the study lives; default studies/NAME.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, any study key, dotted.")] = None,
    replicas: Annotated[int | None, typer.Option(min=0, help="How many; 0 runs in this process, without Ray.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; load no model.")] = False,
    verify_hashes: Annotated[
        bool, typer.Option("--verify-hashes", help="Read all files of the model; trust no remembered hash.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study, or resume it: what is known is not run again."""
    from clipsweep.orchestrator import api
    from clipsweep.orchestrator.plan.estimate import describe_plan
    from clipsweep.orchestrator.study.files import parse_override, read_studies

    options = [parse_override(each) for each in overrides or []]
    options += [] if replicas is None else [("cluster.replicas", replicas)]
    options += [] if address is None else [("cluster.address", address)]
    studies = _by_folder(read_studies(study, options), folder)
    if dry_run:
        plans = [api.plan(each, dir=path, verify_hashes=verify_hashes) for path, each in studies.items()]
        _print_each(plans, describe_plan, as_json)
        return
    if len(studies) > 1:  # what is wrong with the last is said before the first runs
        for path, each in studies.items():
            api.check(each, dir=path)
    raise typer.Exit(_run_each(studies, as_json, verify_hashes))


def _by_folder(studies: Sequence[Study], folder: Path | None) -> dict[Path, Study]:
    """Studies by where they live; several share the folder that was asked for."""
    from clipsweep.orchestrator.folder.open_study import default_folder

    if folder is None:
        return {default_folder(each): each for each in studies}
    return {folder / each.task.name if len(studies) > 1 else folder: each for each in studies}


def _run_each(studies: Mapping[Path, Study], as_json: bool, verify_hashes: bool) -> int:
    """Run studies one after the other, unless interrupted; the worst of their exit codes."""
    from clipsweep.orchestrator.api import run as run_one
    from clipsweep.orchestrator.status.answer import NO_WINNER

    documents, codes = [], []
    for path, each in studies.items():
        ended = run_one(each, dir=path, verify_hashes=verify_hashes)
        status = ended.status()
        documents.append(status | {"dir": str(path), "report": str(ended.report_file)})
        if not as_json:
            typer.echo(ended.describe() or NO_WINNER)
            typer.echo(f"report    {ended.report_file}")
        codes.append(_tell_end(ended, status["failed"]))
        if ended.interrupted:
            break
    if as_json:
        _print_json(documents if len(studies) > 1 else documents[0])
    return max(codes)


def _tell_end(ended: StudyHandle, failed: int) -> int:
    """Say what is left to do, on standard error; the exit code of a study that ended."""
    if ended.interrupted:
        command = shlex.join(["clipsweep", *sys.argv[1:]])
        _tell(f"interrupted; everything finished is stored. Resume with: {command}")
        return INTERRUPTED
    if failed:
        _tell(f"{failed} trials failed; see 'clipsweep results {ended.folder}'. Running again retries them.")
        return FAILED
    return 0


def _print_each(documents: list[dict[str, Any]], describe: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    """Print one document, or several: in words one after the other, as JSON a list."""
    if as_json:
        _print_json(documents if len(documents) > 1 else documents[0])
    else:
        typer.echo("\n\n".join(map(describe, documents)))


@app.command()
@_refusing
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Progress, rate, time left and failures."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.status.status import describe_status

    document = open_study(folder).status()
    if as_json:
        _print_json(document)
    else:
        typer.echo(describe_status(document))


@app.command()
@_refusing
def best(folder: Folder, as_json: AsJson = False) -> None:
    """The winner, its baseline and its gain."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.status.answer import NO_WINNER

    study = open_study(folder)
    answer = study.best() if as_json else study.describe()
    if answer is None:
        _tell(NO_WINNER)
        raise typer.Exit(FAILED)
    if as_json:
        _print_json(answer)
        return
    typer.echo(answer)
    if (front := study.describe_front()) is not None:
        typer.echo(front)


@app.command()
@_refusing
def results(
    folder: Folder,
    row_format: Annotated[RowFormat, typer.Option("--format", help="How to print the rows.")] = "table",
    as_json: AsJson = False,
) -> None:
    """The latest attempt of each trial."""
    from clipsweep.analysis.store.row import jsonable
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.printing import print_rows_csv, print_rows_table

    rows = open_study(folder).stored_rows()
    if as_json:
        _print_json([jsonable(row) for row in rows])
    elif row_format == "csv":
        print_rows_csv(rows)
    else:
        print_rows_table(rows)


@app.command()
@_refusing
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="Where to write it; default DIR/report.html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report: one file that opens offline."""
    from clipsweep.orchestrator.api import open_study

    path = open_study(folder).report(out)
    if as_json:
        _print_json({"report": str(path)})
    else:
        typer.echo(path)


@app.command()
@_refusing
def spectrum(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub name, or 'embedded'.")],
    modules: Annotated[str, typer.Option(help="Comma-separated: attn, mlp, all or single matrices.")] = "attn,mlp",
    layers: Annotated[str, typer.Option(help="Comma-separated; negative ones count from the end.")] = "all",
    dtype: Annotated[Dtype, typer.Option(help="What weights are converted to when loaded.")] = "float32",
    out: Annotated[Path | None, typer.Option(help="Also keep all singular values in this Parquet file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Condition number of each module by layer; --json and --out give the singular values too."""
    from clipsweep.orchestrator.printing import print_conditions
    from clipsweep.orchestrator.views.checkpoint_spectrum import measure_checkpoint, parse_layers, parse_modules
    from clipsweep.trials.base.files import default_cache

    settings = ModelSettings(path=model, dtype=dtype)
    measured = measure_checkpoint(settings, parse_modules(modules), parse_layers(layers), default_cache(), _tell)
    if out is not None:
        measured.write(out)
    if as_json:
        _print_json(measured.document())
    else:
        print_conditions(measured)


@app.command()
@_refusing
def doctor(as_json: AsJson = False) -> None:
    """What this machine has for clipsweep, and what it lacks."""
    from clipsweep.orchestrator.views.doctor import examine
    from clipsweep.trials.base.files import default_cache

    checks = examine(default_cache())
    if as_json:
        _print_json([{"check": check.name, "ok": check.ok, "found": check.found} for check in checks])
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
    if not all(check.ok for check in checks):
        raise typer.Exit(FAILED)


@model_app.command("show")
@_refusing
def show_model(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder with config.json, a hub name, or embedded.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where a model keeps the matrices that can be clipped, by layer and role; loads no weights."""
    from clipsweep.orchestrator.views.model_map import describe_map, map_document, read_map
    from clipsweep.trials.models.find import find_config

    found = read_map(find_config(ModelSettings(path=path, dtype="float32", revision=revision)))
    if as_json:
        _print_json(map_document(found))
    else:
        typer.echo(describe_map(found))


@task_app.command("show")
@_refusing
def show_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task, a shipped study, or a YAML file of either.")],
    model: Annotated[str | None, typer.Option(help="Whose tokenizer counts tokens; no weights are loaded.")] = None,
    shots: Annotated[int | None, typer.Option(min=0, help="Demonstrations; default the study's.")] = None,
    demo_seed: Annotated[int | None, typer.Option(min=0, help="Seed that draws them; default the study's.")] = None,
    row: Annotated[int, typer.Option(min=0, help="Row of the validation split to show.")] = 0,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, as task.path=FOLDER.")] = None,
    as_json: AsJson = False,
) -> None:
    """One prompt as the model will see it, the tokens of its answers, split sizes and prompt lengths."""
    from clipsweep.orchestrator.study.files import NO_MODEL, parse_override, study_of_task
    from clipsweep.orchestrator.views.task_view import describe_task, view_task
    from clipsweep.trials.base.files import default_cache

    study = study_of_task(name, model, [parse_override(each) for each in overrides or []])
    view = view_task(
        study, default_cache(), shots=shots, demo_seed=demo_seed, row=row, tokens=study.model.path != NO_MODEL
    )
    if as_json:
        _print_json(view)
    else:
        typer.echo(describe_task(view))
