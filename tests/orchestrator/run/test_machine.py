"""Whatever happens in whatever order, a study comes to the same rows: a machine that draws what happens.

The table on its files, the ledger, the run loop and the drivers are real; what a trial gives is a function of its
identity (``stand_in.py``). ``CLIPSWEEP_MACHINE_EXAMPLES`` is the number of histories that are drawn, anew each time
where it is set; a few that are always the same otherwise.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rich.console import Console

from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.analysis.store import table as table_module
from clipsweep.analysis.store.part import read_part
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.drivers.assemble import assemble_search
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy, open_study
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.progress.goal import goal_of
from clipsweep.orchestrator.progress.progress import Progress
from clipsweep.orchestrator.run.interrupt import Interrupt
from clipsweep.orchestrator.run.loop import RunLoop
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.words import say_nothing
from clipsweep.trials.base.errors import ClipsweepError
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import Trial
from tests.orchestrator.run.faults import Killed, full_disk_at, killed_at, told_late_at
from tests.orchestrator.run.stand_in import N_ROWS, StandInPool, expected_scores
from tests.orchestrator.space.spaces import make_subject

EXAMPLES = os.environ.get("CLIPSWEEP_MACHINE_EXAMPLES")
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {},
    "halving": {"race": "halving"},
    "test": {"race": "test", "indifference": 0.05},
    "bayes": {"driver": "bayes", "n_trials": 6, "sampler": "random"},
    "compose": {"driver": "compose"},
    "neighbours": {"driver": "bayes", "n_trials": 6, "sampler": "neighbours", "race": "neighbours"},
    "raced bayes": {"driver": "bayes", "n_trials": 6, "sampler": "random", "race": "halving"},
}
SAME_IN_ANY_ORDER = ("grid", "halving", "compose")
FAULTS = {"killed": killed_at, "full disk": full_disk_at, "told late": told_late_at}
Fault = tuple[str, int] | None
faults = st.none() | st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 4) | st.integers(0, 12))


def open_made_up(search: str, folder: Path) -> OpenStudy:
    """A study of nine points, opened as a new process does."""
    content = {
        "name": "made-up",
        "model": {"path": "m"},
        "task": {"name": "episodes", "seed": 0},
        "space": {
            "layers": [0, 1],
            "modules": ["mlp"],
            "shots": [2],
            "demo_seeds": [0],
            "clip_rates": [0, 0.3, 0.5, 0.7, 0.9],
        },
        "search": SEARCHES[search],
        "cluster": {"replicas": 0, "microbatch": 8},
    }
    subject = make_subject(tested=False, n_rows=N_ROWS)
    return open_study(check_study(content), StudyFolder(folder), subject)


class Watched(Driver):
    """A driver whose every tell is looked at first."""

    def __init__(self, driver: Driver, told: Callable[[StoredRow], None]) -> None:
        self.adaptive = driver.adaptive
        self._driver = driver
        self._told = told

    @property
    def owing(self) -> bool:
        return self._driver.owing

    @property
    def done(self) -> bool:
        return self._driver.done

    def ask(self, count: int) -> list[Proposal]:
        return self._driver.ask(count)

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        self._told(row)
        self._driver.tell(proposal, row)


class Process:
    """What one process of a study holds in memory."""

    def __init__(self, search: str, folder: Path, told: Callable[[StoredRow], None]) -> None:
        self.opened = open_made_up(search, folder)
        self.ledger = Ledger(self.opened)
        self.pool = StandInPool(self._submitted)
        driver = assemble_search(self.opened, self.ledger, lambda *_: 1.0)
        self.driver = Watched(driver, told)
        console = Console(quiet=True)
        progress = Progress(self.opened.folder.status, console, goal_of(self.opened, self.ledger))
        self.loop = RunLoop(self.opened, self.ledger, lambda: self.pool, progress, Interrupt(say_nothing))

    def _submitted(self, trial: Trial) -> None:
        """No row of a trial runs twice, and none is left out."""
        row = self.ledger.rows.get(trial.trial_id)
        begun = row.n_examples if row is not None and row.is_cut_short else 0
        assert row is None or not row.is_complete
        assert (trial.rows or (0, N_ROWS))[0] == begun
        assert trial.trial_id not in {each.trial_id for each, _ in self.pool.running}

    def fill(self) -> None:
        self.loop._fill(self.driver)

    def end_one(self, number: int, *, fails: bool) -> None:
        self.pool.end(number % len(self.pool.running), fails=fails)
        self.loop._collect(self.driver)

    def flush(self) -> None:
        self.loop._flush_and_tell(self.driver)

    @property
    def is_done(self) -> bool:
        return self.driver.done and not self.loop._flying

    def finish(self) -> None:
        """What a run does when its driver is done."""
        if self.opened.study.search.race is not None:
            self.ledger.end_race()
        self.opened.table.merge()

    def run_to_the_end(self) -> None:
        while not self.is_done:
            self.fill()
            if self.loop._flying:
                self.end_one(0, fails=False)
        self.finish()


@cache
def rows_of_a_straight_run(search: str) -> dict[str, tuple[str, int]]:
    """State and rows seen of every trial of a study that nothing happened to."""
    with tempfile.TemporaryDirectory() as folder:
        Process(search, Path(folder), lambda _row: None).run_to_the_end()
        rows = ResultsTable(StudyFolder(Path(folder)).trials).latest()
        return {key: (row.state.value, row.n_examples) for key, row in rows.items()}


class StudyMachine(RuleBasedStateMachine):
    """A study that is asked, answered, flushed, merged, killed, met by a full disk and resumed, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(table_module, "MERGED_FILES", 3)
        self.reader = ResultsTable(StudyFolder(self.folder).trials)  # another process, which stays
        self.told: dict[tuple[str, int], Record] = {}
        self.search = "grid"
        self.process: Process | None = None
        self.any_failed = False

    @initialize(search=st.sampled_from(sorted(SEARCHES)), ends=st.lists(st.integers(0, 9), min_size=1, max_size=30))
    def begin(self, search: str, ends: list[int]) -> None:
        """Some trials end before anything happens."""
        self.search = search
        self.resume()
        for number in ends:
            self.process.fill()  # type: ignore[union-attr]
            if self.process.pool.running:  # type: ignore[union-attr]
                self.process.end_one(number, fails=False)  # type: ignore[union-attr]

    def stored(self) -> dict[tuple[str, int], StoredRow]:
        """All rows on disk by trial and attempt, as the other process sees them now."""
        rows = list(self.reader.read())
        found = {(row.trial_id, row.attempt): row for row in rows}
        assert len(found) == len(rows), "an attempt is stored twice"
        return found

    def hear(self, row: StoredRow) -> None:
        """A driver is told: the row must be on disk."""
        key = row.trial_id, row.attempt
        assert key in self.stored(), "told before it was stored"
        self.told[key] = row.record()

    def attempt(self, action: Callable[[], None], fault: Fault) -> None:
        """Do something to the process, which a fault ends: dead at once, or as a run ends that meets an error."""
        process = self.process
        assert process is not None
        if fault is None:
            action()
            return
        kind, number = fault
        try:
            with FAULTS[kind](number):
                action()
        except Killed:
            self.process = None
        except (OSError, ClipsweepError):
            process.ledger.flush()  # the last thing that a run does
            self.process = None

    @precondition(lambda self: self.process is None)
    @rule()
    def resume(self) -> None:
        self.process = Process(self.search, self.folder, self.hear)

    @precondition(lambda self: self.process is not None)
    @rule(fault=faults)
    def fill(self, fault: Fault) -> None:
        self.attempt(self.process.fill, fault)  # type: ignore[union-attr]

    @precondition(lambda self: self.process is not None and self.process.pool.running)
    @rule(number=st.integers(0, 9), fault=faults)
    def end_one(self, number: int, fault: Fault) -> None:
        self.attempt(lambda: self.process.end_one(number, fails=False), fault)  # type: ignore[union-attr]

    @precondition(lambda self: self.process is not None and self.process.pool.running)
    @rule(number=st.integers(0, 9), fault=faults)
    def fail_one(self, number: int, fault: Fault) -> None:
        self.any_failed = True
        self.attempt(lambda: self.process.end_one(number, fails=True), fault)  # type: ignore[union-attr]

    @precondition(lambda self: self.process is not None and self.process.ledger.waiting)
    @rule(fault=faults)
    def flush(self, fault: Fault) -> None:
        self.attempt(self.process.flush, fault)  # type: ignore[union-attr]

    @precondition(lambda self: self.process is not None)
    @rule(fault=faults)
    def merge(self, fault: Fault) -> None:
        self.attempt(self.process.opened.table.merge, fault)  # type: ignore[union-attr]

    @precondition(lambda self: self.process is not None and self.process.is_done)
    @rule(fault=faults)
    def finish(self, fault: Fault) -> None:
        self.attempt(self.process.finish, fault)  # type: ignore[union-attr]
        self.process = None

    @precondition(lambda self: self.process is not None)
    @rule()
    def crash(self) -> None:
        self.process = None

    @precondition(lambda self: self.process is not None)
    @rule()
    def look_afresh(self) -> None:
        trials = StudyFolder(self.folder).trials
        assert list(ResultsTable(trials).read()) == list(self.reader.read())
        parts = {name: read_part(trials / name) for name in self.reader.files()}
        replaced = {name for part in parts.values() for name in part.replaces}
        counting = [part for name, part in parts.items() if name not in replaced]
        assert sum(part.rows.num_rows for part in counting) == len(self.reader.read()), "a row lies in two files"

    @invariant()
    def check(self) -> None:
        self.nothing_is_lost_or_counted_twice()
        self.every_row_is_what_its_trial_gives()
        self.the_ledger_knows_what_is_stored()

    def nothing_is_lost_or_counted_twice(self) -> None:
        stored = self.stored()
        assert self.told.keys() <= stored.keys()
        assert all(stored[key].record() == record for key, record in self.told.items())
        attempts: dict[str, list[StoredRow]] = {}
        for (trial_id, _), row in sorted(stored.items(), key=lambda item: item[0]):
            attempts.setdefault(trial_id, []).append(row)
        for rows in attempts.values():
            assert [row.attempt for row in rows] == list(range(1, len(rows) + 1))
            assert sum(row.is_complete for row in rows) <= 1

    def every_row_is_what_its_trial_gives(self) -> None:
        for row in self.stored().values():
            if row.state is not TrialState.FAILED:
                expected = expected_scores(row.trial_id, row.n_examples)
                assert {column: row.record()[column] for column in expected} == expected

    def the_ledger_knows_what_is_stored(self) -> None:
        if self.process is not None:
            known = {key: row.attempt for key, row in self.process.ledger.rows.items()}
            assert known == {key: row.attempt for key, row in self.reader.latest().items()}

    def teardown(self) -> None:
        """Resume once more, to the end, and compare with a study that nothing happened to."""
        try:
            self.resume()
            assert self.process is not None
            self.process.run_to_the_end()
            self.check()
            self.look_afresh()
            found = {key: (row.state.value, row.n_examples) for key, row in self.reader.latest().items()}
            if self.search in SAME_IN_ANY_ORDER and not (self.any_failed and self.search != "grid"):
                assert found == rows_of_a_straight_run(self.search)
            elif self.search == "compose":  # what a failed trial led to stays, beside what the others lead to now
                assert found.items() >= rows_of_a_straight_run(self.search).items()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)


TestStudyMachine = StudyMachine.TestCase
TestStudyMachine.settings = settings(
    max_examples=int(EXAMPLES or 20),
    stateful_step_count=25,
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
