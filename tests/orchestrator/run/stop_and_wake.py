"""Stop a writer of a study's rows at its n-th call of the operating system, let another take over, and wake the first.

``python -m tests.orchestrator.run.stop_and_wake FOLDER`` does so for every n, in a folder each, and prints for each one
JSON line: the rows that the first was told are stored, those that the second found, and those that count at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.claims.claims import Claim, Claims
from clipsweep.orchestrator.claims.hold import Hold
from clipsweep.trials.base.errors import TakenOverError
from tests.analysis.store.rows import stored_record

CALLS = ("replace", "unlink", "listdir", "open")


def ids(table: ResultsTable) -> list[str]:
    """The trials whose rows count, one for each row."""
    return [row.trial_id for row in table.read()]


def take(folder: Path) -> ResultsTable:
    """Claim a folder whose holder is silent, and take its rows over."""
    claims = Claims(folder / ".claims")
    newest = claims.newest()
    claim = Claim.new(newest.number + 1 if newest is not None else 1)
    assert claims.make(claim)
    table = ResultsTable(folder / "trials")
    table.take_over(claim.number, Hold(claims, claim.number, str(folder)).check)
    return table


def write_and_lose(folder: Path, stop_at: int) -> None:
    """Store rows one by one and merge them; stopped at a call, and ended when the study turns out to be lost."""
    table = take(folder)
    table.append([stored_record("a")])
    left = stop_at

    def stopping(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            return call(*arguments, **options)

        return counted

    told = (folder / "told").open("a")  # before opening is counted
    for name in CALLS:
        setattr(os, name, stopping(getattr(os, name)))
    try:
        for name in "bcd":
            table.append([stored_record(name)])
            told.write(name)
            table.merge()
    except TakenOverError:
        told.write("!")
    told.flush()
    os._exit(0)


def one_stop(folder: Path, stop_at: int) -> dict[str, Any] | None:
    """What came of it; None where the writer ended before it was stopped."""
    child = os.fork()
    if child == 0:
        write_and_lose(folder, stop_at)
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        return None
    second = take(folder)
    found = ids(second)
    second.append([stored_record("z")])
    if stop_at % 2:  # both while the first's files are there and after they have been merged
        second.merge()
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    reader = ResultsTable(folder / "trials")
    told = (folder / "told").read_text()
    return {"told": told, "found": sorted(found), "count": sorted(ids(reader)), "third": sorted(ids(take(folder)))}


def main() -> None:
    """Stop at the first call, the second, and so on."""
    root, stop_at = Path(sys.argv[1]), 1
    while (came := one_stop(root / f"{stop_at}", stop_at)) is not None:
        print(json.dumps(came))
        stop_at += 1


if __name__ == "__main__":
    main()
