"""A disk that fills up while a study runs: one sentence, exit code 1, what is stored is whole, and it resumes.

Each round mounts a small file system in memory, runs a study on it, fills it at a random moment, looks at what is
left, makes room and resumes. It needs the right to mount, which root has.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import StoreError
from tests.benchmarks.document import Line, at_most, machine, tell
from tests.conftest import save_tiny_model, tiny_study

DISK_MIB = 12  # the report alone takes 5
OF_THE_RUN = {"seconds", "replica", "node", "started_at", "finished_at", "versions", "attempt"}
SENTENCE = re.compile(r"^error: .+ failed: .*MiB free.*$", re.MULTILINE)
RATES = [0, *(number / 20 for number in range(1, 16))]
AT_MOST_S = 300


class NoMountError(Exception):
    """This user may not mount a file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one round.

    Attributes:
        what: When the disk was filled, and what was stored by then.
        faults: What went wrong, in words; nothing where all is well.
        hit: Whether the study was still running.
    """

    what: str
    faults: tuple[str, ...]
    hit: bool


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of a few MiB, in memory.

    Raises:
        NoMountError: This user may not mount one.
    """
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        raise NoMountError(mounted.stderr.strip())
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is free; gives the file that holds it."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as opened, suppress(OSError):
        while True:
            opened.write(bytes(2**12))
    return ballast


class Bench:
    """A model, a study, and what its trials give where the disk has room."""

    def __init__(self, root: Path) -> None:
        """Run it once, and note how long it takes."""
        self._root = root
        model = save_tiny_model(root / "model", "gptj")
        space = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": RATES}
        content = tiny_study(model, space=space, task={"validation_size": 300})
        self._file = root / "study.yaml"
        self._file.write_text(yaml.safe_dump(content), encoding="utf-8")
        began = time.monotonic()
        process = self.start(root / "clean")
        listen_for_replica(process)
        self.start_s = time.monotonic() - began
        code, errors = wait_for(process)
        self.run_s = time.monotonic() - began - self.start_s
        assert code == 0, errors
        self.clean = plain_rows(root / "clean")

    def start(self, folder: Path, cache: Path | None = None) -> subprocess.Popen[str]:
        """Begin or resume the study there."""
        command = [sys.executable, "-m", "clipsweep", "run", str(self._file), "--dir", str(folder)]
        environment = {**os.environ, "CLIPSWEEP_CACHE": str(cache or self._root / "cache")}
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )  # fmt: skip

    def run(self, folder: Path, cache: Path | None = None) -> tuple[int, str]:
        """Run the study there to its end: exit code and standard error."""
        return wait_for(self.start(folder, cache))

    def fill_study_disk(self, place: Path, chance: random.Random, *, while_starting: bool = False) -> Round:
        """Run the study on a small disk that is filled while it starts, or at a random moment of its trials."""
        with small_disk(place) as disk:
            study, at = disk / "s", chance.uniform(0, self.start_s if while_starting else self.run_s)
            process = self.start(study)
            if not while_starting:
                listen_for_replica(process)
            time.sleep(at)
            ballast = fill(disk)
            hit = process.poll() is None
            code, errors = wait_for(process)
            faults = judge_end(code, errors, study)
            before = read(study, faults)
            ballast.unlink()
            resumed, errors = self.run(study)
            faults += [] if resumed == 0 else [f"the resume ended with {resumed}: {errors[-300:]}"]
            after = read(study, faults)
            faults += self._compare(before, after)
            since = "the start" if while_starting else "the replica"
            seen = f"exit {code}, {len(before)} rows, resumed to {len(after)}"
            what = f"disk full {at:.1f} s after {since}: {seen}"
            return Round(what=what, faults=tuple(faults), hit=hit)

    def fill_cache_disk(self, place: Path) -> Round:
        """Run the study with its cache on a disk that is full: it goes on without, and says so once."""
        with small_disk(place) as disk:
            (disk / "cache").mkdir()
            fill(disk)
            study = place.with_name(f"{place.name}-study")
            code, errors = self.run(study, disk / "cache")
            told = errors.count("the factors of")
            faults = [] if code == 0 else [f"exit code {code}: {errors[-300:]}"]
            faults += [] if told == 1 else [f"{told} warnings of factors that cannot be kept"]
            faults += ["a traceback"] if "Traceback" in errors else []
            faults += self._compare({}, read(study, faults))
            return Round(what=f"cache's disk full: exit {code}", faults=tuple(faults), hit=True)

    def _compare(self, before: Mapping[str, Record], after: Mapping[str, Record]) -> list[str]:
        """How a study's rows differ from those of the clean one, bit by bit."""
        lost = [f"{trial} was stored and is gone, or ran again" for trial in before if before[trial] != after[trial]]
        missing = [f"{trial} never became complete" for trial in self.clean.keys() - after.keys()]
        ours = {trial: plain(row) for trial, row in after.items()}
        return lost + missing + [f"{trial} differs" for trial in ours if ours[trial] != self.clean.get(trial)]


def listen_for_replica(process: subprocess.Popen[str]) -> None:
    """Wait until a run says that its replica is there, or ends."""
    assert process.stderr is not None
    while (line := process.stderr.readline()) and "1 replica:" not in line:
        pass


def wait_for(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error of a run."""
    _, errors = process.communicate(timeout=AT_MOST_S)
    return process.returncode, errors


def judge_end(code: int, errors: str, study: Path) -> list[str]:
    """What is wrong with the end of a run whose disk was filled; a run that had ended before may end with 0."""
    told = errors.count("error: ")
    faults = ["a traceback"] if "Traceback" in errors else []
    if code == 0:
        return faults
    if code == 2 and not study.exists():  # it had not begun
        return faults
    faults += [] if code == 1 else [f"exit code {code}"]
    faults += [] if told == 1 and SENTENCE.search(errors) else [f"{told} sentences: {errors[-500:]}"]
    return faults + ([] if str(study.parent) in errors else ["the sentence names no file of the study"])


def read(study: Path, faults: list[str]) -> dict[str, Record]:
    """Rows by trial; what cannot be read, or is complete twice, is a fault."""
    try:
        rows = list(ResultsTable(StudyFolder(study).trials).read())
    except StoreError as error:
        faults.append(f"the store cannot be read: {error}")
        return {}
    if len({row.trial_id for row in rows}) < len(rows):
        faults.append("a trial was run twice")
    return {row.trial_id: row.record() for row in rows}


def plain(row: Record) -> dict[str, Any]:
    """What a row says of its trial, without when and where it ran."""
    return {name: value for name, value in row.items() if name not in OF_THE_RUN}


def plain_rows(study: Path) -> dict[str, dict[str, Any]]:
    """Plain rows by trial."""
    return {trial: plain(row) for trial, row in read(study, []).items()}


def measure(times: int, seed: int, log: Path) -> Sequence[Line]:
    """Fill the study's disk so many times at random moments, and the cache's once.

    Raises:
        NoMountError: This user may not mount a file system.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="full-disk-") as folder, log.open("w", encoding="utf-8") as lines:
        bench = Bench(Path(folder))
        rounds = []
        for number in range(times + 1):
            place = Path(folder) / f"disk-{number}"
            if number == times:
                rounds.append(bench.fill_cache_disk(place))
            else:
                rounds.append(bench.fill_study_disk(place, chance, while_starting=number % 4 == 3))
            lines.write(f"{number + 1:3} {rounds[-1].what}: {'; '.join(rounds[-1].faults) or 'ok'}\n")
            lines.flush()
    return [
        Line(name="full disk: rounds", value=len(rounds), unit=""),
        Line(name="full disk: rounds in which the study still ran", value=sum(each.hit for each in rounds), unit=""),
        at_most("full disk: rounds with a fault", sum(bool(each.faults) for each in rounds), "", 0),
    ]


def main() -> None:
    """Read the command line, run, and print the document; exit code 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often the study's disk is filled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True, help="file that gets a line for each round")
    given = parser.parse_args()
    try:
        lines = tell(measure(given.times, given.seed, given.log))
    except NoMountError as error:
        print(f"skipped: no file system can be mounted here ({error})", file=sys.stderr)
        lines = []
    print(json.dumps({"machine": machine(), "lines": [asdict(line) for line in lines]}, indent=1))
    sys.exit(any(line.met is False for line in lines))


if __name__ == "__main__":
    main()
