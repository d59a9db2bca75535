"""The command line. Each command is a few lines over the modules that do the work.

Exit codes: 0 done, 1 the study failed or has failed trials, 2 bad input, 130 interrupted and resumable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from clipsweep.analysis.store.table import Row, jsonable
from clipsweep.analysis.winners.pareto import front_document, pareto_front, rate_points
from clipsweep.analysis.winners.winner import find_winner, find_winners, winners_document
from clipsweep.orchestrator.folder.open_study import default_folder, reopen
from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.run.progress import format_seconds
from clipsweep.orchestrator.run.session import Outcome, check_run, run_study, write_study_report
from clipsweep.orchestrator.status.answer import (
    NO_WINNER,
    SUMMARY_COLUMNS,
    describe_front,
    describe_winner,
    read_status,
)
from clipsweep.orchestrator.study.files import NO_MODEL, load_studies, study_of_task
from clipsweep.orchestrator.views.checkpoint_spectrum import (
    CheckpointSpectrum,
    measure_checkpoint,
    parse_layers,
    parse_modules,
)
from clipsweep.orchestrator.views.doctor import examine
from clipsweep.orchestrator.views.model_map import describe_map, map_document, read_map
from clipsweep.orchestrator.views.task_view import describe_task, view_task
from clipsweep.trials.base.errors import ClipsweepError, PoolError, StoreError
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.models.find import find_config
from clipsweep.trials.models.settings import ModelSettings

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

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study, as 'clipsweep run' named it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


class Dtype(StrEnum):
    """What weights are converted to when loaded."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Layout(StrEnum):
    """How ``results`` prints rows."""

    TABLE = "table"
    CSV = "csv"


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


@app.command()
@_refusing
def run(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A YAML file, or a shipped name such as quickstart.")],
    folder: Annotated[Path | None, typer.Option("--dir", help="Where the study lives; default studies/NAME.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, any study key, dotted.")] = None,
    replicas: Annotated[int | None, typer.Option(min=0, help="How many; 0 runs in this process, without Ray.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; load no model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study, or resume it: what is known is not run again."""
    options = [*(overrides or [])]
    options += [] if replicas is None else [f"cluster.replicas={replicas}"]
    options += [] if address is None else [f"cluster.address={json.dumps(address)}"]
    loaded = load_studies(study, options)
    several = len(loaded) > 1
    studies = {
        default_folder(each) if folder is None else folder / each.task.name if several else folder: each
        for each in loaded
    }
    cache = default_cache()
    if dry_run:
        plans = [plan_study(each, path, cache) for path, each in studies.items()]
        _print_each(plans, describe_plan, as_json)
        return
    if several:  # what is wrong with the last is said before the first runs
        for path, each in studies.items():
            check_run(each, path, cache)
    documents: list[Any] = []
    codes = [0]
    for path, each in studies.items():
        outcome = run_study(each, path, cache, errors)
        documents.append(read_status(outcome.opened) | {"dir": str(path), "report": str(outcome.report)})
        codes.append(_tell_outcome(outcome, as_json))
        if outcome.interrupted:
            break
    if as_json:
        _print_json(documents if several else documents[0])
    raise typer.Exit(max(codes))


def _tell_outcome(outcome: Outcome, as_json: bool) -> int:
    """Say how a study ended; its exit code."""
    opened = outcome.opened
    if not as_json:
        typer.echo(describe_winner(opened, opened.table.latest()))
        typer.echo(f"report    {outcome.report}")
    if outcome.interrupted:
        _tell(f"interrupted; everything finished is stored. Resume with: {outcome.command}")
        return INTERRUPTED
    if outcome.failed:
        _tell(f"{outcome.failed} trials failed; see 'clipsweep results {opened.folder}'. Running again retries them.")
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
    document = read_status(reopen(folder))
    if as_json:
        _print_json(document)
        return
    going_on = document["state"] in ("running", "interrupted")  # then some of them only wait for the others
    words = "part of their rows seen" if going_on else "stopped by the race"
    pruned = f", {document['pruned']} {words}" if document["pruned"] else ""
    typer.echo(
        f"{document['state']}: {document['done']} of {document['total']} trials{pruned}, {document['failed']} failed"
    )
    if document["stopped_by"]:
        typer.echo(f"stopped by {document['stopped_by']}")
    if document["trials_per_second"]:
        left = format_seconds(document["seconds_left"] or 0)
        typer.echo(f"{document['trials_per_second']:.2f} trials/s, {left} left, {document['running']} running")
    for replica in document["replicas"]:
        typer.echo(f"{replica['name']}: {replica['device']} of {replica['node']}")


@app.command()
@_refusing
def best(folder: Folder, as_json: AsJson = False) -> None:
    """The winner, its baseline and its gain."""
    opened = reopen(folder)
    rows = opened.table.latest()
    points = opened.points(rows)
    winner = find_winner(points, rows)
    if winner is not None and not as_json:
        typer.echo(describe_winner(opened, rows))
        if opened.two_objectives:
            typer.echo(describe_front(opened, rows))
        return
    if winner is None:
        _tell(NO_WINNER)
        raise typer.Exit(FAILED)
    document = winners_document(winner, find_winners(points, rows), jsonable)
    if opened.two_objectives:
        document["front"] = front_document(pareto_front(rate_points(points, rows)))
    _print_json(document)


@app.command()
@_refusing
def results(
    folder: Folder,
    layout: Annotated[Layout, typer.Option("--format", help="How to print the rows.")] = Layout.TABLE,
    as_json: AsJson = False,
) -> None:
    """The latest attempt of each trial."""
    rows = sorted(reopen(folder).table.latest().values(), key=lambda row: (row["finished_at"], row["trial_id"]))
    if as_json:
        _print_json([jsonable(row) for row in rows])
    elif layout is Layout.CSV:
        _print_csv(rows)
    else:
        _print_table(rows)


@app.command()
@_refusing
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="Where to write it; default DIR/report.html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report: one file that opens offline."""
    path = write_study_report(reopen(folder), out)
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
    dtype: Annotated[Dtype, typer.Option(help="What weights are converted to when loaded.")] = Dtype.FLOAT32,
    out: Annotated[Path | None, typer.Option(help="Also keep all singular values in this Parquet file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Condition number of each module by layer; --json and --out give the singular values too."""
    settings = ModelSettings(path=model, dtype=dtype.value)
    measured = measure_checkpoint(settings, parse_modules(modules), parse_layers(layers), default_cache(), _tell)
    if out is not None:
        measured.write(out)
    if as_json:
        _print_json(measured.document())
    else:
        _print_conditions(measured)


@app.command()
@_refusing
def doctor(as_json: AsJson = False) -> None:
    """What this machine has for clipsweep, and what it lacks."""
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
    study = study_of_task(name, model, overrides or [])
    view = view_task(
        study, default_cache(), shots=shots, demo_seed=demo_seed, row=row, tokens=study.model.path != NO_MODEL
    )
    if as_json:
        _print_json(view)
    else:
        typer.echo(describe_task(view))


def _print_csv(rows: list[Row]) -> None:
    import csv

    plain = [jsonable(row) for row in rows]
    writer = csv.DictWriter(sys.stdout, fieldnames=list(plain[0]) if plain else SUMMARY_COLUMNS)
    writer.writeheader()
    nested = {"clips", "versions"}
    writer.writerows({key: json.dumps(row[key]) if key in nested else row[key] for key in row} for row in plain)


def _print_table(rows: list[Row]) -> None:
    table = Table(*SUMMARY_COLUMNS)
    for row in rows:
        shown = row if len(row["clips"]) < 2 else row | _listed(row["clips"])
        table.add_row(*(_cell(shown[column]) for column in SUMMARY_COLUMNS))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _listed(clips: list[dict[str, Any]]) -> dict[str, str]:
    """Module, layer and clip rate of several clips, as one cell each."""
    return {key: "\n".join(_cell(clip[key]) for clip in clips) for key in ("module", "layer", "clip_rate")}


def _print_conditions(measured: CheckpointSpectrum) -> None:
    table = Table("layer", *measured.modules)
    values = measured.condition_numbers()
    for layer in sorted({layer for by_layer in values.values() for layer in by_layer}):
        table.add_row(str(layer), *(_cell(values[module].get(layer)) for module in measured.modules))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
