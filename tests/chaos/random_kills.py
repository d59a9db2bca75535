"""Processes of a study killed at random moments: driver, its group, a replica, the raylet, the GCS; then resumed.

Each run takes the next target and the next kind of search in turn. What a whole grid gives, undisturbed and not raced,
is what every row of every run must equal.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsweep.analysis.store.row import Record
from clipsweep.trials.base.errors import StoreError
from tests.benchmarks.document import Line
from tests.chaos.tools import runner, studies
from tests.chaos.tools.judge import Verdict, judge_rows, read_rows
from tests.chaos.tools.processes import kill, one_of, wait_until
from tests.chaos.tools.ray_run import AT_MOST_S, RayRun, ground
from tests.chaos.tools.warm import WarmProcess

IN_PROCESS, DRIVER, GROUP, REPLICA, RAYLET, GCS = "in-process", "driver", "group", "replica", "raylet", "gcs"
TARGETS = (DRIVER, GROUP, REPLICA, RAYLET, GCS)
WHOLE = ("grid",)  # searches that complete every trial
RESUMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """What to kill, and when.

    Attributes:
        target: One of the names above.
        search: One of ``studies.SEARCHES``.
        rows: Stored rows to wait for.
        later_s: Then so long.
    """

    target: str
    search: str
    rows: int
    later_s: float


def find_target(run: RayRun, target: str, rng: random.Random) -> int | None:
    """Process id of what shall be killed; None while there is none."""
    if target in {IN_PROCESS, DRIVER, GROUP}:
        return run.driver
    return one_of(run.processes.named(target), rng)


def run_killed(run: RayRun, wanted: Kill, rng: random.Random, clean: Mapping[str, Record]) -> tuple[str, Verdict]:
    """Kill, look, resume until done, and compare; gives what happened in words, and the verdict."""
    job = run.start()
    wait_until(lambda: run.n_rows() >= wanted.rows or run.ended(0), AT_MOST_S)
    run.ended(wanted.later_s)
    wait_until(lambda: find_target(run, wanted.target, rng) or run.ended(0), AT_MOST_S)
    pid = find_target(run, wanted.target, rng)
    was_running = not run.ended(0) and pid is not None and _kill(wanted.target, pid)
    began = time.monotonic()
    by_itself = wanted.target in {REPLICA, RAYLET, GCS} or not was_running
    code, verdict = run.finish(job, {0} if by_itself else {-9})
    ended_s = time.monotonic() - began
    try:
        before = read_rows(run.study)
    except StoreError as error:
        return f"{wanted}", verdict + Verdict(lost=(f"rows cannot be read after the kill: {error}",))
    resumes, more = _resume(run, code)
    verdict += more + judge_rows(before, run.study, clean, whole=wanted.search in WHOLE)
    words = f"{wanted.target} of {wanted.search}, {'killed' if was_running else 'ended before'} at {wanted.rows} rows"
    after = len(read_rows(run.study))
    return f"{words}: exit {code} after {ended_s:.1f} s, {len(before)} rows; {resumes} resumes, {after} rows", verdict


def _kill(target: str, pid: int) -> bool:
    """Send SIGKILL to a process or, of a driver, to its group."""
    if target != GROUP:
        return kill(pid, signal.SIGKILL)
    os.killpg(pid, signal.SIGKILL)
    return True


def _resume(run: RayRun, code: int) -> tuple[int, Verdict]:
    """Run again until it ends well; how often, and what was wrong."""
    verdict = Verdict()
    for number in range(RESUMES):
        if code == 0:
            return number, verdict
        code, more = run.finish(run.start(), {0})
        verdict += more
    return RESUMES, verdict


def draw(number: int, rng: random.Random, targets: Sequence[str]) -> Kill:
    """The next target and search in turn, at a random moment: of some, while Ray and the model are being loaded."""
    rows = 0 if rng.random() < 0.15 else rng.randrange(1, 200)
    searches = list(studies.SEARCHES)
    return Kill(
        target=targets[number % len(targets)],
        search=searches[number // len(targets) % len(searches)],
        rows=rows,
        later_s=rng.uniform(0, 6) if rows == 0 else rng.uniform(0, 0.5),
    )


def measure(wanted: runner.Wanted, log: runner.Log) -> Sequence[Line]:
    """As many runs on Ray as were asked for, and half as many without."""
    times = wanted.times or 100
    rng = random.Random(wanted.seed)
    first = rng.randrange(len(TARGETS) * len(studies.SEARCHES))  # so that one run alone is not always the same
    kills = [draw(first + number, rng, TARGETS) for number in range(times)]
    kills += [draw(first + number, rng, (IN_PROCESS,)) for number in range((times + 1) // 2)]
    with ground(wanted.jobs) as shared:

        def run_one(process: WarmProcess, root: Path, each: Kill) -> tuple[str, Verdict]:
            run = shared.run(process, root, each.search, 0 if each.target == IN_PROCESS else 2)
            try:
                return run_killed(run, each, random.Random(f"{wanted.seed} {each}"), shared.clean)
            finally:
                run.processes.end()

        shared.bench.each_noted(run_one, kills, log)
    return log.lines("random kills")


if __name__ == "__main__":
    runner.main(measure, default_times=2)
