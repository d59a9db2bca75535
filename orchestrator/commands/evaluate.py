"""``clipsweep evaluate`` scores a checkpoint on a task, ``clipsweep flips`` shows the examples that a clip turns."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Literal

import typer

from clipsweep.orchestrator.terminal.clip_option import parse_clips
from clipsweep.orchestrator.terminal.shell import FAILED, AsJson, Folder, print_json, refusing, tell, whole_number
from clipsweep.orchestrator.words import SHOWN
from clipsweep.trials.models.settings import Dtype

WIDTH_IN_A_FILE = 140
SplitName = Literal["validation", "test"]
Limit = Annotated[int | None, whole_number(0, f"Examples shown in each direction; default {SHOWN}, with --json all.")]


@refusing
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub name, or 'embedded'.")],
    task: Annotated[str, typer.Option(metavar="NAME", help="A task, or a YAML file with a study or a task.")],
    path: Annotated[str | None, typer.Option(metavar="FOLDER", help="Of the task's rows, or a hub name.")] = None,
    shots: Annotated[list[int] | None, whole_number(0, "Demonstrations; several times for several rows.")] = None,
    demo_seed: Annotated[list[int] | None, whole_number(0, "Seed that draws them; several times.")] = None,
    split: Annotated[SplitName, typer.Option(help="Whose rows are scored.")] = "validation",
    clip: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP", help="As layer=-1,module=mlp,clip_rate=0.95; several times, together one model."),
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="What weights are loaded in; float32 if not given.")] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Another checkpoint to compare with, or untouched: the same without clips."),
    ] = None,
    limit: Limit = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As task.validation_size=200; several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a checkpoint on a task, clipped or not, in this process; nothing is stored."""
    from clipsweep.orchestrator.evaluation.evaluation import evaluate_question
    from clipsweep.orchestrator.evaluation.question import ask_of, no_clips, pair_of
    from clipsweep.orchestrator.evaluation.words import describe_asked, describe_gains
    from clipsweep.orchestrator.source.overrides import parse_once
    from clipsweep.orchestrator.terminal.printing import print_scores
    from clipsweep.trials.base.files import default_cache

    clips = parse_clips(clip or [])
    options = {"task.path": path, "space.shots": shots, "space.demo_seeds": demo_seed, "model.dtype": dtype}
    given = [(key, value) for key, value in options.items() if value]
    study = ask_of(model, task, given, parse_once(overrides or []))
    clips_of = (lambda card: [each.clip(card) for each in clips]) if clips else no_clips
    evaluation = evaluate_question(*pair_of(study, split, clips_of, against), default_cache(), tell)
    if as_json:
        print_json(evaluation.document(limit))
    else:
        typer.echo(f"{describe_asked(evaluation)}\n")
        print_scores(evaluation.rows, evaluation.against)
        if evaluation.others:
            typer.echo("\n" + describe_gains(evaluation, SHOWN if limit is None else limit, _width()))
    for row in evaluation.failed:
        tell(f"failed at {row.shots} shots: {row.error}")
    if evaluation.failed:
        raise typer.Exit(FAILED)


@refusing
def flips(
    folder: Folder,
    trial: Annotated[str | None, typer.Argument(metavar="TRIAL", help="Its trial_id; default the winner's.")] = None,
    split: Annotated[
        SplitName | None, typer.Option(help="Whose rows; default the trial's own, of the winner test if that has run.")
    ] = None,
    limit: Limit = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Evaluate again, to tell the wrong labels of tasks of more than two.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Which examples a stored trial turns against its baseline: their texts, labels and margins."""
    from clipsweep.orchestrator.api import open_study
    from clipsweep.orchestrator.evaluation.words import describe_flips

    if labels:
        tell("evaluating the trial and its baseline again …")
    found = open_study(folder).flips(trial, split=split, labels=labels)
    if as_json:
        print_json(found.document(limit))
    else:
        typer.echo(describe_flips(found, SHOWN if limit is None else limit, _width()))


def _width() -> int:
    """Of the lines that texts are broken into."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_IN_A_FILE
