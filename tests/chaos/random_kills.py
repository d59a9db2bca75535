"""Processes of a study killed at random moments: driver, its group, a replica, the raylet, the GCS; then resumed.

Each run takes the next target and the next kind of search in turn. What a whole grid gives, undisturbed and not raced,
is what every row of every run must equal.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from clipsweep.analysis.store.row import Record
from clipsweep.trials.base.errors import StoreError
from tests.benchmarks.document import Line
from tests.chaos import runner, studies
from tests.chaos.bench import Bench
from tests.chaos.judge import Verdict, clean_rows, judge_end, judge_rows, read_rows
from tests.chaos.processes import Processes, kill, one_of, replicas_of, wait_until
from tests.chaos.warm import Job, WarmProcess

IN_PROCESS, DRIVER, GROUP, REPLICA, RAYLET, GCS = "in-process", "driver", "group", "replica", "raylet", "gcs"
TARGETS = (DRIVER, GROUP, REPLICA, RAYLET, GCS)
WHOLE = ("grid",)  # searches that complete every trial
ALSO_LOADED = (
    "clipsweep.orchestrator.drivers.bayes.optuna_study",
    "clipsweep.cluster.on_ray.ray_pool",
    "clipsweep.orchestrator.drivers.racing_driver",
)
FLUSH_S = 0.2
AT_MOST_S = 300  # for a run that shall end by itself
LEFT_S = 30  # for what a killed driver leaves to be gone
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


class Run:
    """A study on a Ray of its own, below a folder."""

    def __init__(self, process: WarmProcess, root: Path, content: Mapping[str, object], cache: Path) -> None:
        """Nothing runs yet."""
        self.study = root / "study"
        (root / "ray").mkdir(parents=True)
        self.processes = Processes(root / "ray")
        self._process, self._root, self._cache = process, root, cache
        self._file = studies.write_study(dict(content), root / "study.yaml")
        self._count = 0
        self.driver = 0

    def start(self) -> Job:
        """Run or resume the study; ``driver`` is then its process id."""
        self._count += 1
        job = Job(
            arguments=("run", str(self._file), "--dir", str(self.study)),
            cache=self._cache,
            said=self._root / f"said-{self._count}",
            environment={**self.processes.environment, "RAY_AUTH_MODE": "disabled"},
            flush_s=FLUSH_S,
        )
        self.driver = self._process.start(job)
        return job

    def ended(self, patience_s: float) -> bool:
        """Whether the driver has ended, or ends in time."""
        return self._process.ended(patience_s)

    def finish(self, job: Job, allowed: set[int]) -> tuple[int, Verdict]:
        """Wait for the end of the driver and of all that it started; its exit code, and what was wrong."""
        verdict = Verdict()
        if not self.ended(AT_MOST_S):
            verdict += Verdict(ended_wrong=(f"still ran after {AT_MOST_S} s",))
            kill(self.driver, signal.SIGKILL)
            allowed = {*allowed, -9}
        code = self._process.wait()
        left = self.processes.left_after(LEFT_S)
        if left:
            names = ", ".join(sorted(command.split()[0].rpartition("/")[2] for command in left.values()))
            verdict += Verdict(ended_wrong=(f"left behind after {LEFT_S} s: {names}",))
            self.processes.end()
        return code, verdict + judge_end(code, job.errors(), allowed)

    def n_rows(self) -> int:
        """Rows on disk; as of before, while files are merged."""
        with suppress(StoreError):
            return len(read_rows(self.study))
        return 0


def find_target(run: Run, target: str, rng: random.Random) -> int | None:
    """Process id of what shall be killed; None while there is none."""
    if target in {IN_PROCESS, DRIVER, GROUP}:
        return run.driver
    if target == REPLICA:
        return one_of(replicas_of(run.study), rng)
    return one_of(run.processes.named(target), rng)


def run_killed(run: Run, wanted: Kill, rng: random.Random, clean: Mapping[str, Record]) -> tuple[str, Verdict]:
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


def _resume(run: Run, code: int) -> tuple[int, Verdict]:
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
    """As many runs on Ray, and as many in this process, as were asked for."""
    times = wanted.times or 100
    rng = random.Random(wanted.seed)
    kills = [draw(number, rng, TARGETS) for number in range(times)]
    kills += [draw(number, rng, (IN_PROCESS,)) for number in range(times)]
    with (
        tempfile.TemporaryDirectory(prefix="ch", dir="/tmp") as folder,
        closing(Bench(Path(folder), wanted.jobs, ALSO_LOADED)) as bench,
    ):
        cache = bench.root / "warm"
        clean: dict[str, Record] = {}

        def run_clean(process: WarmProcess, root: Path, _: None) -> None:
            """Run what is not drawn from at random: the whole grid, and what all searches need of the cache."""
            run = Run(process, root, studies.many_trials(bench.model, "grid", 0), cache)
            code, verdict = run.finish(run.start(), {0})
            assert code == 0, verdict.words
            clean.update(clean_rows(run.study))

        def run_one(process: WarmProcess, root: Path, each: Kill) -> None:
            replicas = 0 if each.target == IN_PROCESS else 2
            run = Run(process, root, studies.many_trials(bench.model, each.search, replicas), cache)
            drawn = random.Random(f"{wanted.seed} {each}")
            try:
                log.note(*run_killed(run, each, drawn, clean), len(kills))
            finally:
                run.processes.end()

        bench.each(run_clean, [None])
        bench.each(run_one, kills)
    return log.lines("random kills")


if __name__ == "__main__":
    runner.main(measure, default_times=2)
