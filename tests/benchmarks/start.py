"""What the command line costs before it does anything: its help, and the status of a finished study of 1,000 trials."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from clipsweep.analysis.winners.standings import Standings
from clipsweep.orchestrator.folder.end import End, write_end
from clipsweep.orchestrator.folder.ledger import FLUSH_ROWS, Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy, write_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.scores.judge import measure_margins, score_labels
from clipsweep.trials.spec.result import TrialResult, TrialState
from tests.benchmarks.document import Line, at_most, print_document, tell

TRIALS = 1000
ROUNDS, QUICK_ROUNDS = 21, 7
STUDY: dict[str, Any] = {  # 6 layers, 2 modules, 83 rates: 996 trials, the untouched model, and 3 on test rows
    "name": "thousand",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": 400, "test_size": 1000, "seed": 0},
    "space": {"layers": "all", "modules": ["attn", "mlp"], "clip_rates": [rank / 128 for rank in range(1, 84)]},
    "cluster": {"replicas": 0, "microbatch": 32},
}


def write_finished_study(folder: Path) -> None:
    """Write a study with 1,000 complete trials as a run would, with scores drawn at random."""
    opened = prepare(check_study(STUDY), folder, folder.parent / "cache").opened
    ledger, rng = Ledger(opened), np.random.default_rng(0)
    write_study(opened)
    _store(opened, ledger, rng, [opened.space.proposal(index) for index in range(len(opened.space))])
    points = Standings(opened.points(ledger.rows), ledger.rows).winning_points
    choices = [Choice(point.shots, point.clips) for point in points]
    _store(opened, ledger, rng, [each for choice in choices for each in opened.space.test_proposals(choice)])
    write_end(opened.folder, End(stopped_by=None))
    assert len(ledger.rows) == TRIALS, f"the study has {len(ledger.rows)} trials"


def _store(opened: OpenStudy, ledger: Ledger, rng: np.random.Generator, proposals: Sequence[Proposal]) -> None:
    """Store a drawn result for each trial that is missing, as many in a file as a fast run flushes."""
    missing = list(ledger.missing(proposals).values())
    for number, proposal in enumerate(missing, start=1):
        ledger.add(_draw_result(opened, ledger, rng, proposal))
        if number % FLUSH_ROWS == 0 or number == len(missing):
            ledger.flush()


def _draw_result(opened: OpenStudy, ledger: Ledger, rng: np.random.Generator, proposal: Proposal) -> TrialResult:
    """A complete trial with two labels and drawn log-likelihoods."""
    size, now = opened.subject.first.split_sizes[proposal.spec.split], datetime.now(UTC)
    scores = rng.normal(size=(size, 2)).astype(np.float32)
    gold = rng.integers(2, size=size).tolist()
    outcomes, tally = score_labels(scores, gold)
    return TrialResult(
        trial=ledger.trial(proposal),
        state=TrialState.COMPLETE,
        outcomes=outcomes,
        margins=measure_margins(scores, gold),
        tally=tally,
        demonstrations=proposal.spec.shots,
        operations=1,
        engine_path="blocks",
        microbatch=32,
        seconds=0.1,
        replica="replica-0",
        node="node",
        device="cpu",
        started_at=now,
        finished_at=now,
        versions=recorded_versions(),
    )


def processor_seconds(command: Sequence[str], folder: Path) -> float:
    """User and system time of a whole process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure() -> Sequence[Line]:
    """The commands in turn, so that what else the machine does meets all of them; medians."""
    clipsweep = str(Path(sys.executable).parent / "clipsweep")
    commands = {
        "imports": [sys.executable, "-c", "import pyarrow, pydantic"],
        "help": [clipsweep, "--help"],
        "status": [clipsweep, "status", "study"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_finished_study(folder / "study")
        rounds = QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS
        taken = [{key: processor_seconds(each, folder) for key, each in commands.items()} for _ in range(rounds)]
    seconds = {key: median(each[key] for each in taken) for key in commands}
    return tell(
        [
            Line(name="importing pyarrow and pydantic, processor time", value=seconds["imports"], unit="s"),
            Line(name="clipsweep --help, processor time", value=seconds["help"], unit="s"),
            Line(name=f"clipsweep status of {TRIALS:,} trials, processor time", value=seconds["status"], unit="s"),
            at_most("clipsweep --help ÷ the imports", seconds["help"] / seconds["imports"], "", 2),
            at_most(
                f"clipsweep status of {TRIALS:,} trials ÷ the imports", seconds["status"] / seconds["imports"], "", 4
            ),
        ]
    )


if __name__ == "__main__":
    print_document(measure)
