"""What the runners share: the options of their command lines, a log with a line for each run, and the document."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TextIO

from tests.benchmarks.document import Line, at_most, machine, tell
from tests.chaos.tools.judge import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a runner was asked for.

    Attributes:
        times: Runs to draw at random; None for all.
        seed: Of what is drawn.
        jobs: Runs at a time.
    """

    times: int | None
    seed: int
    jobs: int


@dataclass(slots=True)
class Log:
    """One line a run, in a file and, where something is wrong, on standard error; and the verdicts."""

    file: TextIO
    verdicts: list[Verdict] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, verdict: Verdict, of: int | None = None) -> None:
        """Write down a run and what was found."""
        with self.lock:
            self.verdicts.append(verdict)
            number = len(self.verdicts)
            line = f"{number:5} {what}: {verdict.words or 'ok'}"
            self.file.write(line + "\n")
            self.file.flush()
            if verdict.words or number % 50 == 0:
                print(f"{time.monotonic() - self.began:6.0f} s, of {of or '?'}: {line}", file=sys.stderr, flush=True)

    def lines(self, name: str) -> list[Line]:
        """How many runs there were, and how many of them lost, repeated or changed something, or ended wrong."""
        counts = {
            each.name: sum(bool(getattr(verdict, each.name)) for verdict in self.verdicts) for each in fields(Verdict)
        }
        runs = Line(name=f"{name}: runs", value=len(self.verdicts), unit="")
        return [runs, *(at_most(f"{name}: {word.replace('_', ' ')}", count, "", 0) for word, count in counts.items())]


def main(measure: Callable[[Wanted, Log], Sequence[Line]], default_times: int) -> None:
    """Read the command line, run, and print the document; exit code 1 where a figure is missed.

    Args:
        measure: Runs what was asked for, and gives the lines.
        default_times: Runs, where neither ``--times`` nor ``--all`` is given.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--log", type=Path, required=True, help="file that gets a line for each run")
    parser.add_argument("--all", action="store_true", help="every fault there is, where they can be counted")
    parser.add_argument("--times", type=int, default=default_times, help="runs to draw at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    given = parser.parse_args()
    wanted = Wanted(times=None if given.all else given.times, seed=given.seed, jobs=given.jobs)
    with given.log.open("w", encoding="utf-8") as file:
        lines = tell(measure(wanted, Log(file)))
    print(json.dumps({"machine": machine(), "lines": [asdict(line) for line in lines]}, indent=1))
    sys.exit(any(line.met is False for line in lines))
