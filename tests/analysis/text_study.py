"""A study of text that is made up: its points, and rows that answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.row import SCHEMA, Record, clip_record
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import TEST, VALIDATION
from tests.analysis.store.rows import FAILED, NOON, text_record
from tests.analysis.winners.points import as_text, make_point

LAYERS, RATES = range(4), (0.1, 0.5, 0.9)
WINDOWS = {  # scored tokens of each
    VALIDATION: tuple(64 + 8 * (number % 5) for number in range(40)),
    TEST: tuple(96 - 20 * (number % 4) for number in range(32)),
}
FAILING, STOPPED = "mlp-0-0.1-0", "attn-0-0.1-0"


def text_points() -> list[Point]:
    """The untouched model, 4 layers of two modules at 3 rates, and one clip of two places: 26 points."""
    sites = [(layer, module) for module in ("attn", "mlp") for layer in LAYERS]
    single = [make_point(layer, rate, module=module, tested=True) for layer, module in sites for rate in RATES]
    clips = (Clip(layer=1, module="mlp", clip_rate=0.9), Clip(layer=3, module="attn", clip_rate=0.5))
    joint = replace(make_point(1, 0.9, tested=True), clips=clips, trial_ids=("joint-0",), test_ids=("test-joint-0",))
    return [as_text(replace(point, shots=0)) for point in (make_point(None, tested=True), *single, joint)]


def text_attempts(points: Sequence[Point]) -> Attempts:
    """A row for each point on validation and on test: deep layers gain, a little; the first loses."""
    records = []
    for number, point in enumerate(points):
        records.append(_record(point, point.trial_ids[0], VALIDATION, number))
        records.append(_record(point, point.test_ids[0], TEST, number))
    return Attempts.of(make_table(records, SCHEMA))


def _record(point: Point, trial_id: str, split: str, number: int) -> Record:
    rng = np.random.default_rng([number, len(split)])
    windows = WINDOWS[split]
    depth = point.clips[0].layer if point.clips else 1.5
    nats = (
        3.1 + 0.02 * np.sin(np.arange(len(windows))) - 0.03 * (depth - 1.5) + 0.01 * rng.standard_normal(len(windows))
    )
    failed: dict[str, Any] = FAILED if trial_id == FAILING else {}
    seen = 0 if failed else 8 if trial_id == STOPPED else len(windows)
    state: dict[str, Any] = {"state": TrialState.PRUNED} if trial_id == STOPPED else {}
    values = (-nats * windows)[:seen].tolist()
    clips = [clip_record(clip) for clip in point.clips]
    single = clips[0] if len(clips) == 1 else {"layer": None, "module": None, "clip_rate": None}
    where = {key: single[key] for key in ("layer", "module", "clip_rate")}
    kept = {"split": split, "shots": 0, "clips": clips, "parameters_kept": 10 - len(clips), "task": "wiki"}
    finished = NOON + timedelta(minutes=number)
    return text_record(values, windows[:seen], trial_id, finished_at=finished, **state, **failed) | where | kept


def text_standings() -> Standings:
    """The study's standings."""
    points = text_points()
    return Standings(points, text_attempts(points).latest())


def write_text_report(path: Path) -> Path:
    """Write the study's report."""
    facts = ReportFacts(
        study="wiki-text",
        subject="m on wiki",
        facts={"model": "m", "task": "wiki, windows of 64 to 96 tokens"},
        two_objectives=True,
        no_flips="Texts are not answered right or wrong, so no example can change.",
    )
    write_report(path, facts, text_standings())
    return path
