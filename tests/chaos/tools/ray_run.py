"""A study run on a Ray of its own, by a loaded process; what it started is known, and what it left behind is told."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.analysis.row.row import Record
from clipsweep.trials.base.errors import StoreError
from tests.chaos.tools import studies
from tests.chaos.tools.bench import Bench
from tests.chaos.tools.judge import Verdict, clean_rows, judge_end, read_rows
from tests.chaos.tools.processes import Processes, kill
from tests.chaos.tools.warm import Job, WarmProcess

ALSO_LOADED = (  # beside what a grid without Ray needs
    "clipsweep.orchestrator.drivers.bayes.optuna_study",
    "clipsweep.cluster.on_ray.ray_pool",
    "clipsweep.orchestrator.drivers.racing_driver",
)
FLUSH_S = 0.2
AT_MOST_S = 300  # for a run that shall end by itself
LEFT_S = 30  # for what a killed driver leaves to be gone


class RayRun:
    """A study on a Ray of its own, below a folder."""

    def __init__(self, process: WarmProcess, root: Path, content: Mapping[str, object], cache: Path) -> None:
        """Nothing runs yet."""
        self.study = root / "study"
        (root / "ray").mkdir(parents=True, exist_ok=True)
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
        code, verdict = self.finish_driver(job, allowed)
        left = self.processes.left_after(LEFT_S)
        if left:
            names = ", ".join(sorted(command.split()[0].rpartition("/")[2] for command in left.values()))
            verdict += Verdict(ended_wrong=(f"left behind after {LEFT_S} s: {names}",))
            self.processes.end()
        return code, verdict

    def finish_driver(self, job: Job, allowed: set[int]) -> tuple[int, Verdict]:
        """Wait for the end of the driver; its exit code, and what was wrong."""
        verdict = Verdict()
        if not self.ended(AT_MOST_S):
            verdict += Verdict(ended_wrong=(f"still ran after {AT_MOST_S} s",))
            kill(self.driver, signal.SIGKILL)
            allowed = {*allowed, -9}
        code = self._process.wait()
        return code, verdict + judge_end(code, job.errors(), allowed)

    def n_rows(self) -> int:
        """Rows on disk; as of before, while files are merged."""
        with suppress(StoreError):
            return len(read_rows(self.study))
        return 0


@dataclass(frozen=True, slots=True)
class Ground:
    """What all runs share.

    Attributes:
        bench: The loaded processes.
        cache: The cache folder, which a whole grid has filled.
        clean: What each trial gives.
    """

    bench: Bench
    cache: Path
    clean: dict[str, Record]

    def run(self, process: WarmProcess, root: Path, search: str, replicas: int | str, **cluster: Any) -> RayRun:
        """A study of many trials; nothing runs yet.

        Args:
            process: Runs it.
            root: A folder that is not there.
            search: One of ``studies.SEARCHES``.
            replicas: How many, or ``auto``; 0 for no Ray.
            cluster: Other keys of that section.
        """
        return RayRun(process, root, studies.many_trials(self.bench.model, search, replicas, **cluster), self.cache)


@contextmanager
def ground(jobs: int) -> Iterator[Ground]:
    """Load processes, and run the whole grid once: what it gives is what any row of any run must equal."""
    with (
        tempfile.TemporaryDirectory(prefix="ch", dir="/tmp") as folder,  # short, as paths of sockets may not be long
        closing(Bench(Path(folder), jobs, ALSO_LOADED)) as bench,
    ):
        made = Ground(bench, bench.root / "warm", {})

        def run_clean(process: WarmProcess, root: Path, _: None) -> None:
            run = made.run(process, root, "grid", 0)
            code, verdict = run.finish(run.start(), {0})
            assert code == 0, verdict.words
            made.clean.update(clean_rows(run.study))

        bench.each(run_clean, [None])
        yield made
