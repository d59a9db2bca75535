"""Where runs are made: loaded processes that take turns, each run in a folder of its own."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from clipsweep.trials.base.errors import ClipsweepError
from tests.chaos.tools import studies
from tests.chaos.tools.judge import Verdict
from tests.chaos.tools.runner import Log
from tests.chaos.tools.warm import Job, WarmProcess

Run = tuple[str, Verdict]  # what happened, in words, and what was wrong
CANNOT_BE_MADE = (AssertionError, OSError, ValueError, ClipsweepError, subprocess.SubprocessError)


class Bench:
    """Loaded processes that take turns, below one folder; each job is run by whichever is idle."""

    def __init__(self, root: Path, jobs: int, also_loaded: Sequence[str]) -> None:
        """Run the grid once in a process that has loaded nothing, to learn what there is to load.

        Args:
            root: An empty folder.
            jobs: How many processes.
            also_loaded: Modules that the grid does not need.
        """
        self.root = root
        self.model = studies.save_model(root / "model")
        self.grid = studies.write_study(studies.twenty_trials(self.model), root / "grid.yaml")
        self._idle: SimpleQueue[WarmProcess] = SimpleQueue()
        self._stack = ExitStack()
        self._jobs = jobs
        self.modules = modules = root / "modules"
        place = root / "grid"
        place.mkdir()
        job = Job(
            arguments=("run", str(self.grid), "--dir", str(place / "study")),
            cache=place / "cache",
            said=place / "clean",
            modules=modules,
        )
        with WarmProcess(modules) as process:
            assert process.run(job) == 0, job.errors()
        with modules.open("a", encoding="utf-8") as names:
            names.write("\n".join(["", *also_loaded]))
        for process in [WarmProcess(modules) for _ in range(jobs)]:
            self._idle.put(self._stack.enter_context(process))

    def each(self, run: Callable[[WarmProcess, Path, Any], None], items: Sequence[Any]) -> None:
        """Run something with each item, as many at a time as there are processes, in a folder that is removed."""

        def run_one(number: int, item: Any) -> None:
            process, place = self._idle.get(), self.root / str(number)
            try:
                run(process, place, item)
            finally:
                self._idle.put(process)
            shutil.rmtree(place, ignore_errors=True)

        with ThreadPoolExecutor(self._jobs) as pool:
            list(pool.map(run_one, itertools.count(), items))

    def each_noted(self, run: Callable[[WarmProcess, Path, Any], Run], items: Sequence[Any], log: Log) -> None:
        """Make a run with each item, and note what came of it; one that cannot be made does not end the others."""

        def run_one(process: WarmProcess, place: Path, item: Any) -> None:
            try:
                log.note(*run(process, place, item), len(items))
            except CANNOT_BE_MADE as error:
                traceback.print_exc()
                made = Verdict(ended_wrong=(f"the run could not be made: {error!r}",))
                log.note(str(getattr(item, "__name__", item)), made, len(items))
                process.restart()

        self.each(run_one, items)

    def close(self) -> None:
        """End the processes."""
        self._stack.close()
