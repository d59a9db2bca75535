"""One call of ``clipsweep run``: checks, lock, loop, report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from analysis.report import write_report
from cluster.local_pool import LocalPool
from cluster.pool import Pool
from cluster.replica import ReplicaSettings
from orchestrator.estimate import relative_work
from orchestrator.ledger import Ledger
from orchestrator.lock import study_lock
from orchestrator.prepare import OpenStudy, Prepared, check_trials, default_folder, prepare, recheck, write_study
from orchestrator.progress import Progress
from orchestrator.run import Interrupt, RunLoop
from orchestrator.space import Proposal
from orchestrator.study import Study
from orchestrator.summary import failed_trials, report_facts

MEMORY_PER_WEIGHT_BYTE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        opened: The study as run.
        report: The HTML file.
        interrupted: Whether it was asked to stop before its end.
        failed: Trials whose latest attempt failed.
        command: What resumes it.
    """

    opened: OpenStudy
    report: Path
    interrupted: bool
    failed: int
    command: str


def run_study(study: Study, folder: Path | None, cache: Path, console: Console) -> Outcome:
    """Run or resume a study in this process; replicas run where the study says.

    Raises:
        ClipsweepError: Bad input, a busy study, or replicas that cannot be had.
    """
    prepared = prepare(study, folder or default_folder(study), cache)
    check_trials(prepared, (proposal.spec for proposal in missing_proposals(prepared.opened)))
    with study_lock(prepared.opened.folder):
        opened = prepared.opened
        recheck(opened)
        ledger = Ledger(opened)
        progress = _open_progress(opened, ledger, console)
        interrupt = Interrupt(progress.say)
        with interrupt.watched():
            try:
                RunLoop(opened, ledger, lambda: _start(prepared, cache), progress, interrupt).run()
                write_study(opened)
            except KeyboardInterrupt:
                interrupt.requested = True
            finally:
                progress.close()
        report = write_study_report(opened)
    return Outcome(
        opened=opened,
        report=report,
        interrupted=interrupt.requested,
        failed=len(failed_trials(opened, ledger.rows)),
        command=shlex.join(["clipsweep", *sys.argv[1:]]),
    )


def missing_proposals(opened: OpenStudy) -> list[Proposal]:
    """Points whose trials are not complete, one for each trial."""
    return list(Ledger(opened).missing(every_proposal(opened)).values())


def every_proposal(opened: OpenStudy) -> Iterable[Proposal]:
    """Every point of the space, computed one at a time."""
    return (opened.space.proposal(index) for index in range(len(opened.space)))


def _start(prepared: Prepared, cache: Path) -> Pool:
    """Start the replicas; once they are there, the study may be written into its folder."""
    pool = start_pool(prepared, cache)
    write_study(prepared.opened)
    return pool


def start_pool(prepared: Prepared, cache: Path) -> Pool:
    """Start the replicas that the study asks for."""
    study, identity = prepared.opened.study, prepared.opened.identity
    cluster = study.cluster
    settings = ReplicaSettings(
        model=replace(study.model_settings(), path=_absolute(study.model.path)),
        task=replace(study.task_settings(), path=study.task.path and _absolute(study.task.path)),
        model_fingerprint=identity.card.fingerprint,
        task_fingerprint=identity.task_fingerprint,
        cache=cache.absolute(),
        threads=cluster.cpus_per_replica,
        activation_bytes=cluster.activation_bytes,
        swept=tuple(prepared.opened.space.starts()),
    )
    if cluster.replicas == 0:
        return LocalPool(settings)
    from cluster.ray_pool import ClusterSettings, RayPool

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


def write_study_report(opened: OpenStudy, out: Path | None = None) -> Path:
    """Write a study's report from what is stored."""
    path = out or opened.folder / "report.html"
    rows = opened.table.latest()
    write_report(path, report_facts(opened, rows), opened.points(), rows)
    return path


def _open_progress(opened: OpenStudy, ledger: Ledger, console: Console) -> Progress:
    missing = ledger.missing(every_proposal(opened))
    needed = {ledger.trial(proposal).trial_id for proposal in every_proposal(opened)}
    work = sum(relative_work(opened, proposal.spec) for proposal in missing.values())
    return Progress(opened.folder, console, known=len(needed) - len(missing), total=len(needed), work=work)
