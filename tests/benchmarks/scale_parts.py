"""Parts of ``scale`` that run in a process of their own: a large grid resumed, and trivial trials sent through Ray."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.work import Batch, NormsRequest
from clipsweep.orchestrator.folder.open_study import write_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run import session
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.scores.tally import LabelTally, Tally
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import Trial
from tests.benchmarks.overhead import peak_bytes
from tests.benchmarks.stored_studies import EXAMPLES, MODULES, store_rows

REPLICAS = 2
FULL_RANK = 128  # of the embedded model's matrices: rates below leave as many ranks
GRID: dict[str, Any] = {  # 54 sites, 127 rates, 15 prompt sets
    "name": "large",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": EXAMPLES, "test_size": 0, "seed": 0},
    "space": {
        "layers": "all",
        "modules": MODULES,
        "shots": [1, 2, 3],
        "demo_seeds": list(range(5)),
        "clip_rates": [rank / FULL_RANK for rank in range(1, FULL_RANK)],
    },
    "cluster": {"replicas": 0, "microbatch": 32},
}


class ReadyPool(Pool):
    """Actors on Ray that send back a ready result for each trial: what is left is the driver's work and Ray's."""

    def __init__(self) -> None:
        """Start Ray and the actors."""
        ray.init(num_cpus=REPLICAS, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
        actor: Any = ray.remote(num_cpus=1)(Ready)
        self._actors = [actor.remote() for _ in range(REPLICAS)]
        ray.get([each.evaluate.remote(()) for each in self._actors])
        self._flying: dict[Any, Any] = {}
        self.n_results = 0
        self.began = time.perf_counter(), time.process_time()

    def free_calls(self) -> int:
        """Two calls of each."""
        return CALLS_PER_REPLICA * REPLICAS - len(self._flying)

    def submit(self, batch: Batch) -> None:
        """To the one with fewer calls."""
        busy = list(self._flying.values())
        actor = min(self._actors, key=busy.count)
        self._flying[actor.evaluate.remote(batch.trials)] = actor

    def collect(self, timeout_s: float) -> list[TrialResult]:
        """Those of one call."""
        done, _ = ray.wait(list(self._flying), num_returns=1, timeout=timeout_s)
        for each in done:
            del self._flying[each]
        results = [result for answered in ray.get(done) for result in answered]
        self.n_results += len(results)
        return results

    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        """None are asked for."""
        raise NotImplementedError

    def screen(self, requests: Sequence[ScreenRequest]) -> Iterator[list[Screened]]:
        """The same."""
        raise NotImplementedError

    def norms(self, requests: Sequence[NormsRequest]) -> Iterator[list[TrialNorms]]:
        """The same."""
        raise NotImplementedError

    def announce(self, starts: Sequence[Start]) -> None:
        """Nothing depends on it."""

    def deaths(self) -> dict[str, int]:
        """None dies."""
        return {}

    def replicas(self) -> list[dict[str, str]]:
        """Their names."""
        return [{"name": f"ready-{number}", "node": "node", "device": "cpu"} for number in range(REPLICAS)]

    def close(self) -> None:
        """End Ray."""
        self.ended = time.perf_counter(), time.process_time()
        ray.shutdown()


class Ready:
    """Answers at once."""

    def evaluate(self, trials: Sequence[Trial]) -> list[TrialResult]:
        """A complete result for each trial."""
        now = datetime.now(UTC)
        half = EXAMPLES // 2
        ready = [True] * half + [False] * half
        tally = Tally(
            examples=EXAMPLES,
            right=half,
            gold_logprob=-1.0,
            labels=(LabelTally(hits=half, predicted=half, gold=half),),
            gaps=(0.0,),
        )
        return [
            TrialResult(
                trial=trial,
                state=TrialState.COMPLETE,
                outcomes=tuple(ready),
                margins=tuple(1.0 if right else -1.0 for right in ready),
                tally=tally,
                operations=1,
                microbatch=32,
                seconds=1e-3,
                replica="ready",
                node="node",
                device="cpu",
                started_at=now,
                finished_at=now,
                versions=recorded_versions(),
            )
            for trial in trials
        ]


def store_most(folder: Path, left: int) -> dict[str, float]:
    """Store all trials of the grid but so many."""
    opened = prepare(check_study(GRID), folder / "study", folder / "cache").opened
    opened.folder.path.mkdir()
    write_study(opened)
    store_rows(opened, 250_000, len(opened.space) - left)
    return {"trials": len(opened.space)}


def resume(folder: Path, _: int) -> dict[str, float]:
    """Run the grid again, to the first trial that is handed to a pool."""
    began, cpu = time.perf_counter(), time.process_time()

    class FirstTrial(ReadyPool):
        def __init__(self) -> None:
            self._flying = {}

        def submit(self, batch: Batch) -> None:
            seconds, processor = time.perf_counter() - began, time.process_time() - cpu
            found = {"seconds": seconds, "processor_seconds": processor, "megabytes": peak_bytes() / 1e6}
            print(json.dumps(found), flush=True)
            os._exit(0)  # nothing after it is measured

    session._start = lambda *_: FirstTrial()
    session.run_study(check_study(GRID), folder / "study", folder / "cache", Console(quiet=True))
    raise AssertionError("nothing was left to run")


def dispatch(folder: Path, points: int) -> dict[str, float]:
    """Run the trivial trials of so many points, five each; the clock runs once Ray is there."""
    pools: list[ReadyPool] = []

    def start() -> Pool:
        pools.append(ReadyPool())
        return pools[0]

    session._start = lambda *_: start()
    session._write_report = lambda *_: None
    study = check_study({**GRID, "search": {"n_trials": points}})
    prepared = prepare(study, folder / "dispatched", folder / "cache")
    prepared.opened.folder.path.mkdir()
    write_study(prepared.opened)
    session.run_study(study, folder / "dispatched", folder / "cache", Console(quiet=True))
    (wall, processor), (wall_end, processor_end) = pools[0].began, pools[0].ended
    return {"trials": pools[0].n_results, "seconds": wall_end - wall, "processor_seconds": processor_end - processor}


if __name__ == "__main__":
    parts: dict[str, Callable[[Path, int], dict[str, float]]] = {
        "store": store_most,
        "resume": resume,
        "dispatch": dispatch,
    }
    print(json.dumps(parts[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
