"""``clipsweep run``: run studies, or say what would run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipsweep.orchestrator.run.interrupt import INTERRUPTED
from clipsweep.orchestrator.status.notify import Ending, check_address, notifying
from clipsweep.orchestrator.terminal.shell import (
    FAILED,
    AsJson,
    Quiet,
    Verbose,
    change_volume,
    is_quiet,
    print_json,
    refusing_run,
    tell,
    tell_error,
)
from clipsweep.trials.base.errors import counted
from clipsweep.trials.base.loading import nothing_collected

if TYPE_CHECKING:
    from clipsweep.orchestrator.api import StudyHandle
    from clipsweep.orchestrator.study.schema import Study

NOTIFY = "--notify"
Notify = Annotated[
    str | None,
    typer.Option(
        NOTIFY, metavar="URL", envvar="CLIPSWEEP_NOTIFY", help="Post one JSON document there as a study ends."
    ),
]


@refusing_run
def run(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A YAML file, or a shipped name such as quickstart.")],
    folder: Annotated[Path | None, typer.Option("--dir", help="Where the study lives; default studies/NAME.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any study key, dotted; several times.")
    ] = None,
    replicas: Annotated[
        str | None, typer.Option(metavar="N", help="Copies of the model, or auto; 0 runs in this process, without Ray.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; load no model.")] = False,
    verify_hashes: Annotated[
        bool, typer.Option("--verify-hashes", help="Read all files of the model; trust no remembered hash.")
    ] = False,
    notify: Notify = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also run trials again that took their replica down three times.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a study, or resume it: what is known is not run again."""
    change_volume(quiet=quiet, verbose=verbose)
    if notify is not None:
        check_address(notify)
    tell(f"reading study {study} …")
    with nothing_collected():
        from clipsweep.orchestrator import api
    from clipsweep.orchestrator.source.overrides import parse_once, parse_override
    from clipsweep.orchestrator.study.files import read_studies

    options = [] if replicas is None else [parse_override(f"cluster.replicas={replicas}")]
    options += [] if address is None else [("cluster.address", address)]
    studies = _by_folder(read_studies(study, parse_once(overrides or [], options)), folder)
    if dry_run:
        tell("looking at the model, the rows and the prompts; no weights are loaded …")
        plans = [api.plan(each, dir=path, verify_hashes=verify_hashes) for path, each in studies.items()]
        _print_plans(plans, as_json)
        return
    if len(studies) > 1:  # what is wrong with the last is said before the first runs
        for path, each in studies.items():
            api.check(each, dir=path)
    run_one = partial(api.run, quiet=is_quiet(), verify_hashes=verify_hashes, retry_failed=retry_failed)
    raise typer.Exit(_run_each(studies, as_json, run_one, notify))


def _by_folder(studies: Sequence[Study], folder: Path | None) -> dict[Path, Study]:
    """Studies by where they live; several share the folder that was asked for."""
    from clipsweep.orchestrator.folder.open_study import default_folder

    if folder is None:
        return {default_folder(each): each for each in studies}
    return {folder / each.task.name if len(studies) > 1 else folder: each for each in studies}


def _run_each(
    studies: Mapping[Path, Study], as_json: bool, run_one: Callable[..., StudyHandle], notify: str | None
) -> int:
    """Run studies one after the other, unless interrupted; the worst of their exit codes."""
    from clipsweep.orchestrator.status.answer import NO_WINNER
    from clipsweep.orchestrator.status.words import count_finished

    documents, codes = [], []
    for path, each in studies.items():
        ending = Ending(study=each.name, dir=str(path))
        with notifying(notify, ending, tell):
            ended = run_one(each, dir=path)
            status, ending.best = ended.status(), ended.best()
            ending.state, ending.status = status["state"], status
        nothing = ended.interrupted and not count_finished(status)
        documents.append(status | {"dir": str(path), "report": None if nothing else str(ended.report_file)})
        if not as_json and not nothing:
            if len(studies) > 1:
                typer.echo(f"task      {each.task.name}")
            typer.echo(ended.describe() or NO_WINNER)
            typer.echo(f"report    {ended.report_file}")
        codes.append(_tell_end(ended, status))
        if ended.interrupted:
            break
    if as_json:
        print_json(documents if len(studies) > 1 else documents[0])
    return max(codes)


def _tell_end(ended: StudyHandle, status: Mapping[str, Any]) -> int:
    """Say what is left to do, on standard error; the exit code of a study that ended."""
    from clipsweep.orchestrator.status.words import count_finished

    failed, given_up = status["failed"], status["given_up"]
    if ended.interrupted:
        command = shlex.join(["clipsweep", *_without_address(sys.argv[1:])])
        if count_finished(status):
            tell_error(f"interrupted; everything finished is stored. Resume with: {command}")
        else:
            stored = _stored_before_trials(ended.folder)
            tell_error(f"interrupted before the first trial; {stored} stored. Run it again with: {command}")
        return INTERRUPTED
    if failed:
        see = f"see 'clipsweep results {ended.folder}'"
        tell_error(f"{counted(failed, 'trial')} failed; {see}. {words_of_retry(failed, given_up)}")
        return FAILED
    return 0


def _stored_before_trials(folder: Path) -> str:
    """What a study's folder holds that a run without trials has found out, and goes on from."""
    from clipsweep.orchestrator.folder.study_folder import StudyFolder

    held = {"the screen": StudyFolder(folder).screen, "the condition numbers": StudyFolder(folder).spectrum}
    found = [words for words, file in held.items() if file.exists()]
    return f"what was found of {' and '.join(found)} is" if found else "nothing was"


def _without_address(arguments: Sequence[str]) -> list[str]:
    """What was typed, with a word in the place of the address to notify, which may be a secret."""
    hidden = [NOTIFY + "=URL" if each.startswith(NOTIFY + "=") else each for each in arguments]
    return ["URL" if before == NOTIFY else each for before, each in zip(["", *hidden], hidden, strict=False)]


def words_of_retry(failed: int, given_up: int) -> str:
    """Which failed trials the next run tries again."""
    if not given_up:
        return f"Running again retries {'it' if failed == 1 else 'them'}."
    if given_up == failed:
        return (
            f"Replicas died over {'it' if failed == 1 else 'them'} again and again; 'run --retry-failed' tries again."
        )
    others = counted(given_up, "trial")
    return f"Running again retries them, but for {others} over which replicas died: 'run --retry-failed' tries all."


def _print_plans(plans: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print one plan, or several: in words one after the other, as JSON a list."""
    from clipsweep.orchestrator.plan.estimate import describe_plan
    from clipsweep.orchestrator.terminal.printing import print_expectation

    if as_json:
        print_json(plans if len(plans) > 1 else plans[0])
        return
    for number, plan in enumerate(plans):
        typer.echo(("\n" if number else "") + describe_plan(plan))
        if plan["expectation"] is not None:
            print_expectation(plan["expectation"])
