"""A report for tests: of a study that is made up, with texts that would break a page which does not escape them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.row import SCHEMA, Record, StoredRow, clip_record
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.analysis.winners.turned import Flip, Flips
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import TEST, VALIDATION
from tests.analysis.store.rows import FAILED, NOON, stored_record
from tests.analysis.winners.points import make_point

HOSTILE = """</script><script>window.broken = 1</script><b onclick="broken()">'"&amp;\u2028."""
LAYERS, RATES, EXAMPLES = range(6), (0.1, 0.5, 0.75, 0.9, 0.95, 0.99), 40
LONG = "many words of one example " * 40
FAILING, STOPPED = "mlp-0-0.1-0", "attn-0-0.1-0"


def made_up_points() -> list[Point]:
    """The untouched model, 6 layers of two modules at 6 rates, and one clip of two places: 74 points."""
    sites = [(layer, module) for module in ("attn", "mlp") for layer in LAYERS]
    single = [make_point(layer, rate, module=module, tested=True) for layer, module in sites for rate in RATES]
    clips = (Clip(layer=1, module="mlp", clip_rate=0.9), Clip(layer=4, module="attn", clip_rate=0.5))
    joint = replace(make_point(1, 0.9, tested=True), clips=clips, trial_ids=("joint-0",), test_ids=("test-joint-0",))
    return [make_point(None, tested=True), *single, joint]


def made_up_rows(points: list[Point]) -> Attempts:
    """A row for each point, the deeper its layer the better; one failed, one was stopped after four; all are tested."""
    records = []
    for number, point in enumerate(points):
        right = 20 if not point.clips else 14 + 2 * point.clips[0].layer + (number * 7) % 5
        records.append(_record(point, point.trial_ids[0], VALIDATION, right, number))
        records.append(_record(point, point.test_ids[0], TEST, right, number))
    return Attempts.of(make_table(records, SCHEMA))


def _record(point: Point, trial_id: str, split: str, right: int, number: int) -> Record:
    failed: dict[str, Any] = FAILED | {"error": HOSTILE} if trial_id == FAILING else {}
    stopped: dict[str, Any] = {"state": TrialState.PRUNED} if trial_id == STOPPED else {}
    outcomes = tuple(n < right for n in range(4 if stopped else EXAMPLES))
    margins = tuple(0.5 if each else -0.25 for each in outcomes)
    finished = NOON + timedelta(minutes=number)
    result: dict[str, Any] = {"outcomes": outcomes, "margins": margins, "finished_at": finished} | failed | stopped
    clips = [clip_record(clip) for clip in point.clips]
    single = clips[0] if len(clips) == 1 else {"layer": None, "module": None, "clip_rate": None}
    where = {key: single[key] for key in ("layer", "module", "clip_rate")}
    kept = {"split": split, "shots": 4, "clips": clips, "parameters_kept": 10 - len(clips)}
    return stored_record(trial_id, **result) | where | kept


def made_up_flips(row: StoredRow, before: StoredRow) -> Flips:
    """Thirty examples that became right, one with a hostile text and one with a long one, and one that became wrong."""
    texts = [HOSTILE, LONG, *(f"text {number}" for number in range(28))]
    turned = [_flip(number, text, gained=True) for number, text in enumerate(texts)] + [_flip(30, "lost", gained=False)]
    return Flips(row=row, before=before, n_examples=EXAMPLES, n_rows=EXAMPLES, flips=tuple(turned))


def _flip(number: int, text: str, *, gained: bool) -> Flip:
    return Flip(
        number=number,
        source=("train", number),
        text=text,
        gold=" yes",
        before=" no" if gained else " yes",
        after=" yes" if gained else None,
        gained=gained,
        margin_before=-0.1,
        margin_after=0.1,
    )


def made_up_facts(standings: Standings) -> ReportFacts:
    """All that a report may have, hostile wherever a text comes from elsewhere."""
    winner = standings.winner
    assert winner is not None
    row, before = winner.rows["winner_test"], winner.rows["baseline_test"]
    assert row is not None
    assert before is not None
    return ReportFacts(
        study="a <study>",
        subject="m on sst2",
        facts={"model": HOSTILE, "layers": "0, 1"},
        keeps=["98.00 %", "of the parameters: 98 of 100"],
        apply="clipsweep apply studies/s -o s-clipped",
        notes=[HOSTILE],
        flips=made_up_flips(row, before),
        warnings=["the disk was slow"],
        failed=[standings.rows[FAILING]],
        two_objectives=True,
    )


def write_made_up(path: Path) -> Path:
    """Write the report of the study."""
    points = made_up_points()
    standings = Standings(points, made_up_rows(points).latest())
    write_report(path, made_up_facts(standings), standings)
    return path
