"""Measure what the demonstrations of stored trials do by the paper's theory, and keep it in the study's folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.work import NormsRequest
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.run.keep_found import keep_found
from clipsweep.trials.base.errors import counted
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.trial import PromptSet, Trial, TrialSpec

TOGETHER = 8  # trials of a request, so that short ones are not ruled by the way to a replica
log = logging.getLogger(__name__)


def measure_norms(
    opened: OpenStudy,
    rows: Mapping[str, StoredRow],
    start_pool: Callable[[], Pool],
    waits_for: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    """Measure stored trials that the study wants measured and that are not; no row is scored, and none changes.

    Prompt set by prompt set, the untouched model's trial first, without which the others cannot be compared. What has
    been measured is kept every few seconds, so that a study that is stopped goes on from there. A trial that cannot be
    measured is warned of, and tried again by the next run.

    Args:
        opened: The study.
        rows: Latest attempt at each trial.
        start_pool: Gives the pool, with nothing in flight; called where something is missing.
        waits_for: Shows the user what is waited for, at once where it ends in three dots.
        stopped: Whether to end early; asked every half second, in-process between trials.

    Raises:
        TaskError: The prompts cannot be tokenised; what was measured before is kept.
        PoolError: The replicas were lost; the same.
        TakenOverError: Another process holds the study.
    """
    missing = opened.missing_norms(rows)
    if not missing:
        return
    pool = start_pool()
    failed: list[TrialNorms] = []
    what = counted(len(missing), "stored trial")
    waits_for(f"measuring {what} by the demonstrations alone; nothing is scored again …")

    def keep(measured: Sequence[TrialNorms]) -> None:
        opened.table.check()
        opened.norms.add(measured)
        failed.extend(each for each in measured if each.error is not None)

    answers = pool.norms(list(_requests(opened, [rows[trial_id] for trial_id in missing])))
    keep_found(answers, keep, lambda count: waits_for(f"{count}/{what} measured"), stopped)
    if failed:
        log.warning(
            f"{counted(len(failed), 'stored trial')} could not be measured for the theory; the first, "
            f"{failed[0].trial_id}: {failed[0].error}"
        )


def _requests(opened: OpenStudy, rows: Sequence[StoredRow]) -> Iterator[NormsRequest]:
    """The trials of these rows, a few together: prompt set by prompt set, those that clip nothing first."""
    microbatch = opened.study.cluster.microbatch
    assert isinstance(microbatch, int), "prepare() resolves auto"
    by_prompts: dict[PromptSet, list[Trial]] = {}
    for row in rows:
        trial = _trial_of(opened, row)
        by_prompts.setdefault(trial.spec.prompt_set, []).append(trial)
    for trials in by_prompts.values():
        trials.sort(key=lambda trial: len(trial.resolved.edits) > 0)
        for first in range(0, len(trials), TOGETHER):
            yield NormsRequest(trials=tuple(trials[first : first + TOGETHER]), microbatch=microbatch)


def _trial_of(opened: OpenStudy, row: StoredRow) -> Trial:
    """The trial of a stored row, on all rows of its split."""
    spec = TrialSpec(
        model=row.model, task=row.task, shots=row.shots, demo_seed=row.demo_seed, split=row.split, clips=row.clips
    )
    return Trial(trial_id=row.trial_id, spec=spec, resolved=resolve(row.clips, opened.subject.card))
