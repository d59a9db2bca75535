"""How good the time left is: studies that have run are replayed from their rows, and told and real times compared.

``python -m tests.benchmarks.time_left DIR [DIR ...]``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.plan.relative_work import RelativeWork
from clipsweep.orchestrator.progress.goal import left_of
from clipsweep.orchestrator.progress.left import Rows
from clipsweep.orchestrator.progress.time_left import TimeLeft
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.trial import TEST

SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


def parts(snapshot: Snapshot) -> Iterator[tuple[datetime, StoredRow, Rows, int]]:
    """Each attempt with the rows that it saw itself."""
    seen: dict[str, int] = {}
    raced = snapshot.opened.study.search.race is not None
    for row in snapshot.history:
        first, seen[row.trial_id] = seen.get(row.trial_id, 0), row.n_examples
        if row.n_examples > first:
            yield (
                row.finished_at,
                row,
                (first, row.n_examples) if raced and row.split != TEST else None,
                row.n_examples - first,
            )


def replay(folder: Path) -> None:
    snapshot = Snapshot.take(reopen(folder))
    opened = snapshot.opened
    events = list(parts(snapshot))
    nothing = LatestRows(type(snapshot.history).none())
    ledger = Ledger(opened, nothing)
    left = left_of(opened, look_ahead(opened, ledger), ledger)
    work_of, told = RelativeWork(opened), TimeLeft()
    began, ended = events[0][1].started_at, events[-1][0]
    whole = (ended - began).total_seconds()
    wanted = [share * whole for share in SHARES]
    tests = [each for each in events if each[1].split == TEST]
    in_tests = False
    told.start(0.0)

    def amount(row: StoredRow, n: int) -> Amount:
        spec = opened.space.propose(row.shots, row.demo_seed, row.clips, row.split).spec
        size = opened.subject.split_sizes[row.split]
        return Amount(trials=1, rows=n, work=work_of(spec, resolve(row.clips, opened.subject.card)) * n / size)

    print(f"{folder.name}: {whole:.0f} s, {len(events)} parts")
    line = []
    for at, row, rows, n in events:
        now = (at - began).total_seconds()
        while wanted and now > wanted[0]:
            share = wanted.pop(0)
            amount_left = left.amount()
            guess = None if amount_left is None else told.seconds(amount_left)
            real = whole - share
            line.append(
                f"{share / whole:4.0%} at {share:5.1f}s: "
                + ("   none   " if guess is None else f"{guess:6.1f}/{real:6.1f}={guess / real:4.2f}")
            )
        if row.split == TEST and not in_tests:
            in_tests = True
            left.begin_tests(sum((amount(r, k) for _, r, _, k in tests), start=Amount()))
        if rows and rows[0] > 0:
            left.begin(rows, amount(row, n))
        left.end(rows, amount(row, n))
        told.note(now, left.ended)
    print("\n".join("   " + each for each in line))


for name in sys.argv[1:]:
    replay(Path(name))
