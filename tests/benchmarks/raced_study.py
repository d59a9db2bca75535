"""One raced study, and where its time went, as JSON: what ``raced`` runs under the code of any checkout.

So it needs of clipsweep what every checkout since the one that it is compared with has, and nothing else of the tests.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from clipsweep.cluster import local_pool
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study

Mark = tuple[float, float]  # wall and processor seconds


def mark() -> Mark:
    """Now."""
    return time.perf_counter(), time.process_time()


class WatchedPool(local_pool.LocalPool):
    """The in-process pool, which notes when it was ready, what its replica did, and when it was closed.

    Attributes:
        ready: When the model was loaded.
        closed: When the last trial was stored and told.
        did: Seconds that its trials took by the replica's own count, those of the untouched model's passes apart.
    """

    ready: Mark
    closed: Mark
    did: dict[str, float]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        WatchedPool.ready = mark()

    def close(self) -> None:
        WatchedPool.did = dict(self._replica.counters().values())
        WatchedPool.closed = mark()
        super().close()


def run(content: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Run a study, and tell its phases and its rows."""
    local_pool.LocalPool = WatchedPool  # type: ignore[misc, assignment]
    began = mark()
    outcome = run_study(check_study(content), folder, cache, Console(quiet=True))
    ended, watched = mark(), WatchedPool
    phases = {"start": (began, watched.ready), "loop": (watched.ready, watched.closed), "all": (began, ended)}
    return {
        "wall": {name: last[0] - first[0] for name, (first, last) in phases.items()},
        "processor": {name: last[1] - first[1] for name, (first, last) in phases.items()},
        "captures": watched.did["capture_seconds"],
        "trials": watched.did["evaluate_seconds"],
        "operations": sum(row.operations for row in outcome.snapshot.rows.values()),
        "rows": {name: row.outcomes.tolist() for name, row in outcome.snapshot.rows.items()},
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(run(given["study"], Path(given["folder"]), Path(given["cache"]))))
