"""One call of ``clipsweep run``: checks, lock, loop, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from clipsweep.cluster.local_pool import LocalPool
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.replica import ReplicaSettings
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.open_study import (
    OpenStudy,
    Prepared,
    check_trials,
    default_folder,
    forget_end,
    prepare,
    recheck,
    settle,
    write_end,
    write_study,
)
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.plan.estimate import work_ahead
from clipsweep.orchestrator.run.loop import Interrupt, RunLoop
from clipsweep.orchestrator.run.progress import Progress
from clipsweep.orchestrator.status.answer import write_study_report
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.spec.trial import TaskSettings

MEMORY_PER_WEIGHT_BYTE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        opened: The study as run.
        interrupted: Whether it was asked to stop before its end.
    """

    opened: OpenStudy
    interrupted: bool


def check_run(study: Study, folder: Path, cache: Path) -> tuple[Prepared, list[str]]:
    """All that can be checked before a replica starts: names, rows, and the prompts of the trials to come.

    Returns:
        The study with what a run needs, and what the user should know.

    Raises:
        ClipsweepError: Anything that cannot be run.
    """
    prepared = prepare(study, folder, cache)
    ahead = look_ahead(prepared.opened, Ledger(prepared.opened))
    return prepared, check_trials(prepared, ahead.missing)


def run_study(study: Study, folder: Path | None, cache: Path, console: Console) -> Outcome:
    """Run or resume a study in this process; replicas run where the study says.

    Raises:
        ClipsweepError: Bad input, a busy study, or replicas that cannot be had.
    """
    prepared, notes = check_run(study, folder or default_folder(study), cache)
    with study_lock(prepared.opened.folder):
        recheck(prepared.opened)
        opened = settle(prepared.opened)
        prepared = replace(prepared, opened=opened)
        ledger = Ledger(opened)
        progress = _open_progress(opened, ledger, console)
        for note in notes:
            progress.say(note)
        interrupt = Interrupt(progress.say)
        forget_end(opened.folder)
        with interrupt.watched():
            try:
                loop = RunLoop(opened, ledger, lambda: _start(prepared, cache), progress, interrupt)
                loop.run()
                write_study(opened)
                if not interrupt.requested:
                    write_end(opened.folder, loop.stopped_by)
            except KeyboardInterrupt:
                interrupt.requested = True
            finally:
                progress.close()
        opened = settle(opened)
        write_study_report(opened)
    return Outcome(opened=opened, interrupted=interrupt.requested)


def _start(prepared: Prepared, cache: Path) -> Pool:
    """Start the replicas; once they are there, the study may be written into its folder."""
    pool = start_pool(prepared, cache)
    write_study(prepared.opened)
    return pool


def start_pool(prepared: Prepared, cache: Path) -> Pool:
    """Start the replicas that the study asks for."""
    study, identity, space = prepared.opened.study, prepared.opened.identity, prepared.opened.space
    cluster = study.cluster
    settings = ReplicaSettings(
        model=replace(study.model_settings(), path=_absolute(study.model.path)),
        task=_absolute_task(study.task_settings()),
        model_fingerprint=identity.card.fingerprint,
        task_fingerprint=identity.task_fingerprint,
        cache=cache.absolute(),
        threads=cluster.cpus_per_replica,
        activation_bytes=cluster.activation_bytes,
        gpus=max(1, int(cluster.gpus_per_replica)),
        swept=tuple(space.starts()) if space.settled else (),
    )
    if cluster.replicas == 0:
        return LocalPool(settings)
    from clipsweep.cluster.ray_pool import ClusterSettings, RayPool

    return RayPool(
        settings,
        ClusterSettings(
            replicas=None if cluster.replicas == "auto" else cluster.replicas,
            gpus_per_replica=cluster.gpus_per_replica,
            cpus_per_replica=cluster.cpus_per_replica,
            address=cluster.address,
            bytes_per_replica=MEMORY_PER_WEIGHT_BYTE * identity.card.weight_bytes,
        ),
    )


def _absolute(path: str) -> str:
    """A local folder as replicas find it from another working directory; hub names and ``embedded`` stay."""
    folder = Path(path).expanduser()
    return str(folder.resolve()) if folder.is_dir() else path


def _absolute_task(task: TaskSettings) -> TaskSettings:
    """The task with every local path as replicas find it."""
    definition = task.definition
    if definition is not None:
        place, colon, attribute = (definition.function or "").rpartition(":")
        function = f"{Path(place).expanduser().resolve()}{colon}{attribute}" if place.endswith(".py") else None
        source = replace(definition.source, path=_absolute(definition.source.path))
        definition = replace(definition, source=source, function=function or definition.function)
    return replace(task, path=task.path and _absolute(task.path), definition=definition)


def _open_progress(opened: OpenStudy, ledger: Ledger, console: Console) -> Progress:
    ahead = look_ahead(opened, ledger)
    return Progress(opened.folder, console, known=ahead.known, total=ahead.total, work=work_ahead(opened, ahead))
