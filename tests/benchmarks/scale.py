"""What size costs: reading, checking and merging many rows, resuming a large grid, sending trivial trials through Ray.

Each line is measured in a process of its own: processor time and peak memory of the whole command. The studies are made
up (``stored_studies``): a grid on a model like GPT-J, rows of 400 examples with margins.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.document import Line, at_least, at_most, print_document, tell
from tests.benchmarks.stored_studies import Axes, make_study, store_rows

COMMAND = str(Path(sys.executable).parent / "clipsweep")
FEW = Axes(40, (4, 10), 1)  # 20,162 trials
MANY, QUICK_MANY = Axes(441, (1, 4, 10), 3), Axes(40, (1, 4, 10), 3)
ONE_EACH, QUICK_ONE_EACH = Axes(40, (4, 10), 1), Axes(4, (4, 10), 1)
ROWS_PER_FILE = 250_000  # as merged files of this size hold
LEFT = 1000  # of 102,885 trials, when the grid is resumed
DISPATCHED, QUICK_DISPATCHED = 3000, 600  # points of five seeds each
WRAPPED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: On the clock.
        processor_seconds: User and system time.
        megabytes: Most memory that it held.
    """

    seconds: float
    processor_seconds: float
    megabytes: float


def cost_of(*arguments: str) -> Cost:
    """Run clipsweep; its answer is not looked at, its exit code must be 0. Its modules are compiled, as for users."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    wrapped = [sys.executable, "-c", WRAPPED, COMMAND, *arguments]  # or the peak would be that of earlier commands
    code, processor, megabytes = subprocess.run(
        wrapped, check=True, capture_output=True, text=True, env=environment
    ).stdout.split()
    assert code == "0", f"clipsweep {' '.join(arguments)} ended with {code}"
    return Cost(seconds=time.perf_counter() - began, processor_seconds=float(processor), megabytes=float(megabytes))


def part(name: str, folder: Path, number: int) -> dict[str, float]:
    """Run a part in a process of its own, which gets a home where Ray may leave something."""
    command = [sys.executable, "-m", "tests.benchmarks.scale_parts", name, str(folder), str(number)]
    environment = os.environ | {"HOME": str(folder), "RAY_TMPDIR": str(folder / "ray")}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def question_lines(folder: Path, rows_per_file: int) -> Iterator[Line]:
    """Questions about 20,000 rows."""
    opened = make_study(folder, FEW)
    n_files = store_rows(opened, rows_per_file)
    for command in ("status", "best"):
        cost = cost_of(command, str(folder))
        name = f"{command}, {len(opened.space):,} rows in {n_files:,} files"
        yield at_most(f"{name}, processor time", cost.processor_seconds, "s", 1)
        yield at_most(f"{name}, peak memory", cost.megabytes, "MB", 300)


def one_each_lines(folder: Path, *, quick: bool) -> Iterator[Line]:
    """A file for each row, as searches of older versions left them; then they are compacted."""
    opened = make_study(folder, QUICK_ONE_EACH if quick else ONE_EACH)
    n_files = store_rows(opened, 1)
    before = _megabytes(folder)
    name = f"{n_files:,} files of one row"
    for command in ("status", "best"):
        cost = cost_of(command, str(folder))
        yield Line(name=f"{command}, {name}, processor time", value=cost.processor_seconds, unit="s")
        yield Line(name=f"{command}, {name}, peak memory", value=cost.megabytes, unit="MB")
    cost = cost_of("compact", str(folder))
    yield at_most(f"compact, {name}", cost.seconds, "s", 60)
    yield Line(name=f"compact, {name}, processor time", value=cost.processor_seconds, unit="s")
    yield Line(name=f"compact, {name}, peak memory", value=cost.megabytes, unit="MB")
    yield Line(name=f"{name}, on disk", value=before, unit="MB")
    yield Line(name=f"{name}, on disk when compacted", value=_megabytes(folder), unit="MB")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in (folder / "trials").iterdir()) / 1e6


def many_lines(folder: Path, *, quick: bool) -> Iterator[Line]:
    """Questions about a million rows."""
    opened = make_study(folder, QUICK_MANY if quick else MANY)
    store_rows(opened, ROWS_PER_FILE)
    commands: Sequence[tuple[str, ...]] = (
        ("verify", str(folder)),
        ("best", str(folder)),
        ("results", str(folder), "--format", "csv"),
    )
    for command in commands:
        cost = cost_of(*command)
        name = f"{command[0]}, {len(opened.space):,} rows"
        yield at_most(name, cost.seconds, "s", 60)
        yield Line(name=f"{name}, processor time", value=cost.processor_seconds, unit="s")
        yield at_most(f"{name}, peak memory", cost.megabytes, "MB", 2000)


def resume_lines(folder: Path) -> Iterator[Line]:
    """A grid of which all but a few trials are done, to the first that is handed to a replica."""
    folder.mkdir()
    trials = part("store", folder, LEFT)["trials"]
    done = part("resume", folder, 0)
    name = f"resume with {trials - LEFT:,.0f} of {trials:,.0f} trials done, to the first new one"
    yield at_most(name, done["seconds"], "s", 10)
    yield Line(name=f"{name}, processor time", value=done["processor_seconds"], unit="s")
    yield at_most(f"{name}, peak memory", done["megabytes"], "MB", 500)


def dispatch_lines(folder: Path, *, quick: bool) -> Iterator[Line]:
    """Trials that actors on Ray answer at once."""
    done = part("dispatch", folder, QUICK_DISPATCHED if quick else DISPATCHED)
    name = f"{done['trials']:,.0f} ready trials through Ray, 2 actors"
    yield at_least(f"{name}, trials a second", done["trials"] / done["seconds"], "1/s", 500)
    each = 1000 * done["processor_seconds"] / done["trials"]
    yield at_most(f"{name}, the driver's processor time for each", each, "ms", 2)


def measure(*, quick: bool) -> list[Line]:
    """All lines, told as they come."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="scale") as name:
        folder = Path(name)
        for found in (
            dispatch_lines(folder, quick=quick),
            question_lines(folder / "few", 4096),
            question_lines(folder / "small", 64),
            one_each_lines(folder / "one-each", quick=quick),
            resume_lines(folder / "grid"),
            many_lines(folder / "many", quick=quick),
        ):
            for line in found:
                lines += tell([line])
            for made in ("few", "small", "one-each", "grid"):
                shutil.rmtree(folder / made, ignore_errors=True)
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows where there are most")
    arguments = parser.parse_args()
    print_document(lambda: measure(quick=arguments.quick))
