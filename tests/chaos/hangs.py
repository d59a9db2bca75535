"""Processes of a study stopped in mid-run, as by a stuck driver of a GPU: a replica, the raylet, the run itself.

A replica or a raylet that is stopped is replaced once its deadline is over, and the run ends by itself. A run that is
stopped loses its study to the next one; woken again, it must stop without harm.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsweep.orchestrator.folder.log_file import warned_of
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from tests.benchmarks.document import Line, at_most
from tests.chaos.tools import runner
from tests.chaos.tools.judge import Verdict, judge_rows, read_rows
from tests.chaos.tools.processes import kill, wait_until
from tests.chaos.tools.ray_run import AT_MOST_S, Ground, RayRun, ground
from tests.chaos.tools.warm import Job, WarmProcess

HANG_AFTER_S = 2  # the floor; a call whose prompts or factors are new to its replica is allowed thirty times as much
ELSEWHERE_S = 5.0  # from the deadline to its trials running on another replica
REPLACED = re.compile(r"has not answered for (\d+) s, and (\d+) s are allowed")  # in the log


class Hangs:
    """Each kind of hang, on a ground; and how long replicas took to be replaced."""

    def __init__(self, shared: Ground, seed: int) -> None:
        """Nothing runs yet."""
        self._shared = shared
        self._rng = random.Random(seed)
        self.late_s: list[float] = []

    def replica(self, process: WarmProcess, root: Path) -> tuple[str, Verdict]:
        """Stop one of two replicas; its trials run elsewhere, and the run ends by itself."""
        run = self._shared.run(process, root, "grid", 2, hang_after_s=HANG_AFTER_S)
        job = self._begin(run)
        before = read_rows(run.study)
        kill(self._rng.choice(run.processes.named("replica")), signal.SIGSTOP)
        began = time.monotonic()
        wait_until(lambda: _told(run.study) or run.ended(0), AT_MOST_S)
        elapsed_s = time.monotonic() - began
        code, verdict = run.finish(job, {0})
        told = _told(run.study)
        if told is None:
            verdict += Verdict(ended_wrong=("the log does not say that a replica hung",))
        else:
            self.late_s.append(max(elapsed_s, told.silent_s) - told.allowed_s)
        verdict += judge_rows(before, run.study, self._shared.clean, whole=True)
        return f"replica stopped at {len(before)} rows: {told} after {elapsed_s:.1f} s, exit {code}", verdict

    def raylet(self, process: WarmProcess, root: Path) -> tuple[str, Verdict]:
        """Stop the raylet; the run goes on without it, or starts another Ray, and ends by itself."""
        run = self._shared.run(process, root, "grid", 2, hang_after_s=HANG_AFTER_S)
        job = self._begin(run)
        before = read_rows(run.study)
        for raylet in run.processes.named("raylet"):
            kill(raylet, signal.SIGSTOP)
        code, verdict = run.finish(job, {0})
        verdict += judge_rows(before, run.study, self._shared.clean, whole=True)
        return f"raylet stopped at {len(before)} rows: exit {code}", verdict

    def driver(self, process: WarmProcess, root: Path) -> tuple[str, Verdict]:
        """Stop the run, let another take its study over, and wake it: it ends with a sentence, and does no harm."""
        run = self._shared.run(process, root, "grid", 0)
        job = self._begin(run)
        kill(run.driver, signal.SIGSTOP)
        before = read_rows(run.study)
        with WarmProcess(self._shared.bench.modules) as other:
            second = self._shared.run(other, root / "other", "grid", 0)
            second.study = run.study
            code, verdict = second.finish(second.start(), {0})
        kill(run.driver, signal.SIGCONT)
        woken, of_first = run.finish(job, {1})
        verdict += of_first + judge_rows(before, run.study, self._shared.clean, whole=True)
        return f"run stopped at {len(before)} rows, taken over (exit {code}) and woken (exit {woken})", verdict

    def _begin(self, run: RayRun) -> Job:
        """Start a run and wait for some rows."""
        job = run.start()
        rows = self._rng.randrange(20, 120)
        wait_until(lambda: run.n_rows() >= rows or run.ended(0), AT_MOST_S)
        return job


@dataclass(frozen=True, slots=True)
class Told:
    """What the log says of a replica that hung: how long it was silent, and how long it might have been."""

    silent_s: float
    allowed_s: float


def _told(folder: Path) -> Told | None:
    """What the study's log says; None while it says nothing of it."""
    found = [REPLACED.search(line) for line in warned_of(StudyFolder(folder))]
    return next((Told(float(each[1]), float(each[2])) for each in found if each is not None), None)


def measure(wanted: runner.Wanted, log: runner.Log) -> Sequence[Line]:
    """Each kind of hang so many times."""
    times = wanted.times or 5
    with ground(wanted.jobs) as shared:
        hangs = Hangs(shared, wanted.seed)
        kinds = [hangs.replica, hangs.driver, hangs.raylet] * times
        shared.bench.each_noted(lambda process, root, kind: kind(process, root), kinds, log)
    late_s = max(hangs.late_s, default=0.0)
    return [
        *log.lines("hangs"),
        at_most("hang of a replica: from the deadline to its trials elsewhere, worst", late_s, "s", ELSEWHERE_S),
    ]


if __name__ == "__main__":
    runner.main(measure, default_times=1)
