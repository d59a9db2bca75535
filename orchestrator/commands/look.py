"""Commands that look at a model, a task or the machine: ``spectrum``, ``model show``, ``task show``, ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipsweep.orchestrator.terminal.shell import FAILED, AsJson, print_json, refusing, tell, whole_number
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.os_words import check_cache, check_output
from clipsweep.trials.models.settings import Dtype, ModelSettings

if TYPE_CHECKING:
    from clipsweep.orchestrator.source.overrides import Override
    from clipsweep.orchestrator.study.schema import Study


@refusing
def spectrum(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub name, or 'embedded'.")],
    modules: Annotated[str, typer.Option(help="Comma-separated: attn, mlp, all or single matrices.")] = "attn,mlp",
    layers: Annotated[str, typer.Option(help="Comma-separated; negative ones count from the end.")] = "all",
    dtype: Annotated[Dtype, typer.Option(help="What weights are converted to when loaded.")] = "float32",
    out: Annotated[Path | None, typer.Option(help="Also keep all singular values in this Parquet file.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also write a page with figures: MODEL-spectrum.html.")
    ] = False,
    report_to: Annotated[
        Path | None, typer.Option("--report-to", metavar="FILE", help="Write that page here instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Condition number of each module by layer; --report, --out and --json tell more of each matrix.

    They also compute in float64, which takes several times as long.
    """
    from clipsweep.orchestrator.terminal.printing import print_conditions
    from clipsweep.orchestrator.views.checkpoint_spectrum import (
        measure_checkpoint,
        parse_layers,
        parse_modules,
        report_name,
    )
    from clipsweep.trials.base.files import default_cache

    settings, cache = ModelSettings(path=model, dtype=dtype), default_cache()
    check_cache(cache)
    if out is not None:
        check_output(out, "singular values")
    page = report_to or (Path(report_name(model)) if report else None)
    if page is not None:
        check_output(page, "the report")
    exact = as_json or out is not None or page is not None
    measured = measure_checkpoint(settings, parse_modules(modules), parse_layers(layers), cache, tell, exact=exact)
    if out is not None:
        measured.write(out)
    if page is not None:
        measured.write_report(page)
        tell(f"report    {page}")
    if as_json:
        print_json(measured.document())
    else:
        print_conditions(measured)


@refusing
def doctor(as_json: AsJson = False) -> None:
    """What this machine has for clipsweep, and what it lacks."""
    from clipsweep.orchestrator.views.doctor import examine
    from clipsweep.trials.base.files import default_cache

    checks = examine(default_cache())
    if as_json:
        print_json([{"check": check.name, "ok": check.ok, "found": check.found} for check in checks])
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
    if not all(check.ok for check in checks):
        raise typer.Exit(FAILED)


@refusing
def show_model(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder with config.json, a hub name, or embedded.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where a model keeps the matrices that can be clipped, by layer and role; loads no weights."""
    from clipsweep.orchestrator.views.model_map import describe_map, map_document, read_map
    from clipsweep.trials.base.files import default_cache
    from clipsweep.trials.models.find import find_config
    from clipsweep.trials.models.fit import check_what_is_there

    folder = find_config(ModelSettings(path=path, dtype="float32", revision=revision))
    found = read_map(folder)
    if Path(path).expanduser().is_dir():  # of a hub name some shards may have come, and others not yet
        check_cache(default_cache())
        check_what_is_there(folder, default_cache())
    if as_json:
        print_json(map_document(found))
    else:
        typer.echo(describe_map(found))


@refusing
def show_task(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A task, a shipped study, or a YAML file of either.")
    ] = None,
    lm_eval: Annotated[
        str | None, typer.Option("--lm-eval", metavar="NAME", help="Instead of NAME: a task of lm-evaluation-harness.")
    ] = None,
    include_path: Annotated[
        str | None, typer.Option("--include-path", metavar="DIR", help="YAML files with harness tasks of your own.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Whose tokenizer counts tokens; no weights are loaded.")] = None,
    shots: Annotated[int | None, whole_number(0, "Demonstrations; default the study's.")] = None,
    demo_seed: Annotated[int | None, whole_number(0, "Seed that draws them; default the study's.")] = None,
    row: Annotated[int, whole_number(0, "Row of the validation split to show.")] = 0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As task.path=FOLDER; several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """One prompt as the model will see it, the tokens of its answers, split sizes and prompt lengths."""
    from clipsweep.orchestrator.source.overrides import parse_override
    from clipsweep.orchestrator.study.files import NO_MODEL
    from clipsweep.orchestrator.views.task_view import describe_task, view_task
    from clipsweep.trials.base.files import default_cache

    study = _study_to_look_at(name, lm_eval, include_path, model, [parse_override(each) for each in overrides or []])
    cache = default_cache()
    check_cache(cache)
    view = view_task(study, cache, shots=shots, demo_seed=demo_seed, row=row, tokens=study.model.path != NO_MODEL)
    if as_json:
        print_json(view)
    else:
        typer.echo(describe_task(view))


def _study_to_look_at(
    name: str | None, lm_eval: str | None, include_path: str | None, model: str | None, overrides: list[Override]
) -> Study:
    """The study of a task's name or file, or of a task of the harness.

    Raises:
        StudyError: Both, or neither.
    """
    from clipsweep.orchestrator.study.files import study_of_harness_task, study_of_task

    if (name is None) == (lm_eval is None):
        raise StudyError("task show needs either NAME, or --lm-eval NAME for a task of lm-evaluation-harness.")
    if lm_eval is not None:
        return study_of_harness_task(lm_eval, include_path, model, overrides)
    if include_path is not None:
        raise StudyError("--include-path has no effect without --lm-eval; remove it, or name a task of its files.")
    assert name is not None, "one of the two is given"
    return study_of_task(name, model, overrides)
