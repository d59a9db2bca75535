"""A fault at every n-th system call of a study: killed, a device that does not answer, a full disk; then resumed.

A small study is run once under strace, and what it does to its files is listed. Then each of these calls is made to
fail, or to be the last, in a run of its own; the study is resumed without a fault, and compared with a clean one.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from clipsweep.analysis.store.row import Record
from clipsweep.trials.base.errors import StoreError
from tests.benchmarks.document import Line, at_most
from tests.chaos.tools import runner, studies
from tests.chaos.tools.bench import Bench
from tests.chaos.tools.judge import Verdict, clean_rows, judge_end, judge_rows, read_rows
from tests.chaos.tools.strace import FAULTS, STORING, Call, count_calls, missing_strace, run_with_fault
from tests.chaos.tools.warm import Job, WarmProcess

ALSO_LOADED = ("clipsweep.orchestrator.drivers.bayes.optuna_study",)  # by a search
GRID, SEARCH = "grid", "search"
NAMES = (GRID, SEARCH)
COMPACTED = "compact"
FEW = 20  # runs that are drawn from one of the two alone, as listing the calls of all takes longer
FIRST_FAULT = next(iter(FAULTS))
RANDOM_NAME = re.compile(r"\.draft-[0-9a-f]{32}-|(?<=part-)[0-9a-f]+(?=-\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One command on one folder, in which each call is made to fail in turn.

    Attributes:
        name: In the log.
        study: The study file.
        folder: What the study's folder holds at first; None where there is none.
        cache: What the cache holds at first; None for nothing.
        clean: What each trial gives.
        whole: Whether all of these trials must be complete at the end.
        compacts: Whether it is not the study that is run, but its rows that are put into fewer files.
    """

    name: str
    study: Path
    folder: Path | None
    cache: Path | None
    clean: Mapping[str, Record]
    whole: bool
    compacts: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A fault at one call of a scenario."""

    scenario: Scenario
    call: Call
    fault: str


class Place:
    """A folder for one run: its study, its cache, what it said, what strace saw."""

    def __init__(self, root: Path, scenario: Scenario) -> None:
        """Copy what the scenario starts from."""
        self.root = root
        self.study, self.cache = root / "study", root / "cache"
        root.mkdir()
        self._file, self._compacts = scenario.study, scenario.compacts
        for source, target in ((scenario.folder, self.study), (scenario.cache, self.cache)):
            if source is not None:
                shutil.copytree(source, target)

    def faulty(self, name: str) -> Job:
        """The command of the scenario, under strace."""
        compact = ("compact", str(self.study))
        job = self.job(name, *compact) if self._compacts else self.job(name)
        return replace(job, gate=self.root / f"{name}.gate")

    def job(self, name: str, *arguments: str) -> Job:
        """A command here; by default the run of the study."""
        run = ("run", str(self._file), "--dir", str(self.study))
        return Job(arguments=arguments or run, cache=self.cache, said=self.root / name)

    def owns(self, call: Call) -> bool:
        """Whether a call touches the study or the cache."""
        return call.path.is_relative_to(self.study) or call.path.is_relative_to(self.cache)

    def words(self, call: Call) -> str:
        """A call as the log names it: what is drawn at random in names of files is left out."""
        path = call.path.relative_to(self.root) if call.path.is_relative_to(self.root) else call.path
        return RANDOM_NAME.sub("*", f"{call.name} {call.number} of {path}")


def list_cases(process: WarmProcess, scenario: Scenario, root: Path) -> list[Case]:
    """Run a scenario without a fault, and list each call that touches its files.

    What stores something meets every fault; what only opens, makes or removes a name meets one, in turn.
    """
    place = Place(root, scenario)
    job = place.faulty("counted")
    code, calls = count_calls(process, job, root / "counted.strace")
    assert code == 0, job.errors()
    owned = [call for call in calls if place.owns(call)]
    return [
        Case(scenario, call, fault)
        for number, call in enumerate(owned)
        for fault in (FAULTS if call.name in STORING else [list(FAULTS)[number % len(FAULTS)]])
    ]


def unsynced(cases: Sequence[Case]) -> list[str]:
    """Files that were put into place, and whose folder was not synced next: a power failure would lose their names."""
    found = []
    for scenario in {case.scenario.name for case in cases}:
        calls = [case.call for case in cases if case.scenario.name == scenario and case.fault == FIRST_FAULT]
        for number, call in enumerate(calls):
            synced = next((each for each in calls[number + 1 :] if each.name == "fsync"), None)
            if call.name == "rename" and (synced is None or synced.path != call.path.parent):
                found.append(f"{scenario}: {call.path.parent.name}/{RANDOM_NAME.sub('*', call.path.name)}")
    return found


def run_case(process: WarmProcess, root: Path, case: Case) -> tuple[str, Verdict]:
    """Put the fault in, look at what is left, resume, and compare; gives what happened in words, and the verdict."""
    place = Place(root, case.scenario)
    at_first = read_rows(place.study)
    job = place.faulty("faulty")
    code, hit = run_with_fault(process, job, root / "faulty.strace", case.call, case.fault)
    what = f"{case.scenario.name}, {case.fault} at {place.words(hit) if hit else f'{case.call.name} not reached'}"
    # Python may have opened a file more than when the calls were counted, or one less
    stray = hit is not None and not place.owns(hit) and case.fault != "SIGKILL"
    verdict = Verdict() if stray else judge_end(code, job.errors(), _right_codes(case, hit))
    try:
        before = {**at_first, **read_rows(place.study)}
    except StoreError as error:
        return what, verdict + Verdict(lost=(f"rows cannot be read after the fault: {error}",))
    if code == 0:
        whole = case.scenario.whole and not case.scenario.compacts
        verdict += judge_rows(before, place.study, case.scenario.clean, whole=whole)
    looked = _run(process, place.job("looked", "status", str(place.study)), {0, 2})
    resumed = _run(process, place.job("resumed"), {0})
    judged = judge_rows(before, place.study, case.scenario.clean, whole=case.scenario.whole)
    words = f"{what}: exit {code}, {len(before)} rows, resumed to {len(read_rows(place.study))}"
    return words, verdict + looked + resumed + judged


def _right_codes(case: Case, hit: Call | None) -> set[int]:
    """Killed, unless it ended before; or one sentence and exit 1, or survived."""
    if case.fault == "SIGKILL":
        return {-9} if hit else {0}
    return {0, 1}


def _run(process: WarmProcess, job: Job, allowed: set[int]) -> Verdict:
    code = process.run(job)
    return judge_end(code, job.errors(), allowed)


def make_scenarios(process: WarmProcess, bench: Bench, names: Collection[str]) -> list[Scenario]:
    """A study that starts with an empty cache, a search that starts with a full one; each also resumed half-way.

    What the search had stored half-way is also compacted, where all are wanted.

    Args:
        process: Runs what they start from.
        bench: Where it runs.
        names: Which of ``NAMES``.
    """
    made = [_begun(process, bench, name) for name in names]
    halves = [_half(process, begun, bench.root) for begun in made]
    compacted = [replace(halves[-1], name=COMPACTED, compacts=True)] if len(names) == len(NAMES) else []
    return [*made, *halves, *compacted]


def _begun(process: WarmProcess, bench: Bench, name: str) -> Scenario:
    if name == GRID:
        clean = clean_rows(bench.root / "grid" / "study")
        return Scenario(name=GRID, study=bench.grid, folder=None, cache=None, clean=clean, whole=True)
    cache = bench.root / "grid" / "cache"
    every = studies.write_study(studies.whole_space(bench.model), bench.root / "every.yaml")
    whole = Scenario(name="", study=every, folder=None, cache=cache, clean={}, whole=True)
    clean = _run_clean(process, whole, bench.root / "every")
    search = studies.write_study(studies.short_search(bench.model), bench.root / "search.yaml")
    return Scenario(name=SEARCH, study=search, folder=None, cache=cache, clean=clean, whole=False)


def _half(process: WarmProcess, begun: Scenario, root: Path) -> Scenario:
    """The scenario of resuming, with a full cache."""
    full = replace(begun, name=f"{begun.name} resumed", cache=root / "grid" / "cache")
    return replace(full, folder=_run_half(process, full, root / begun.study.stem))


def _run_clean(process: WarmProcess, scenario: Scenario, root: Path) -> dict[str, Record]:
    place = Place(root, scenario)
    job = place.job("clean")
    assert process.run(job) == 0, job.errors()
    return clean_rows(place.study)


def _run_half(process: WarmProcess, scenario: Scenario, root: Path) -> Path:
    """Kill a run in its middle; gives the folder that it leaves."""
    place = Place(root.with_name(f"half {root.name}"), scenario)
    call = Call("rename", 14, root)
    code, _ = run_with_fault(process, place.faulty("half"), place.root / "half.strace", call, "SIGKILL")
    rows = read_rows(place.study)
    assert code == -9, place.job("half").errors()
    assert 5 < len(rows) < len(scenario.clean), len(rows)
    return place.study


def measure(wanted: runner.Wanted, log: runner.Log) -> Sequence[Line]:
    """Run all cases, or some that are drawn at random."""
    if (missing := missing_strace()) is not None:
        print(f"skipped: {missing}", file=sys.stderr)
        return []
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        closing(Bench(Path(folder), wanted.jobs, ALSO_LOADED)) as bench,
    ):
        rng, scenarios = random.Random(wanted.seed), list[Scenario]()
        names = NAMES if wanted.times is None or wanted.times > FEW else [rng.choice(NAMES)]
        bench.each(lambda process, place, _: scenarios.extend(make_scenarios(process, bench, names)), [None])
        cases: list[Case] = []
        bench.each(lambda process, place, each: cases.extend(list_cases(process, each, place)), scenarios)
        not_synced = unsynced(cases)
        print(f"folders not synced: {not_synced}", file=sys.stderr, flush=True)
        if wanted.times is not None:
            cases = rng.sample(cases, min(wanted.times, len(cases)))
        counts = Counter((each.scenario.name, each.call.name) for each in cases)
        print(f"{len(cases)} runs: {dict(counts)}", file=sys.stderr, flush=True)
        bench.each_noted(run_case, cases, log)
    synced = at_most("system calls: files whose folder is not synced after their rename", len(not_synced), "", 0)
    return [*log.lines("system calls"), synced]


if __name__ == "__main__":
    runner.main(measure, default_times=10)
