import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.winners.standings import count_distinct
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.open_study import open_study as made_open
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.ahead import Ahead, look_ahead
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.trial import TrialSpec
from tests.conftest import tiny_study
from tests.orchestrator.space.spaces import make_subject
from tests.trials.models.test_card import CARD

MakeStudy = Callable[..., dict[str, Any]]
MIXED = {
    "modules": ["all", "attn", "mlp", "q"],
    "shots": [0, 2],
    "demo_seeds": [0, 1],
    "clip_rates": [0, 0.01, 0.02, 0.5, 0.51, 0.9],
}


def open_study(content: dict[str, Any], tmp_path: Path, cache: Path) -> OpenStudy:
    return prepare(check_study(content), tmp_path / "s", cache).opened


def one_by_one(opened: OpenStudy) -> tuple[int, Counter[Any]]:
    """Distinct trials, and by kind those of them that must run, by visiting every point."""
    ledger, space = Ledger(opened), opened.space
    proposals = [space.proposal(index) for index in range(len(space))]
    total = len({ledger.trial(proposal).trial_id for proposal in proposals})
    return total, Counter(kind_of(opened, each.spec) for each in ledger.missing(proposals).values())


def counted(opened: OpenStudy, ahead: Ahead) -> tuple[int, Counter[Any]]:
    counts: Counter[Any] = Counter()
    for spec, count in ahead.missing.items():
        counts[kind_of(opened, spec)] += count
    return ahead.total, counts


def kind_of(opened: OpenStudy, spec: TrialSpec) -> tuple[int, int, int, bool]:
    """Shots, seed (which without shots is any), first block, and whether its attention stands."""
    start = resolve(spec.clips, opened.subject.card).start
    return spec.shots, spec.demo_seed if spec.shots else 0, start.block, start.reuse == "attention"


def test_looking_ahead_counts_what_visiting_every_point_counts(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    opened = open_study(make_study(space=MIXED), tmp_path, cache)
    found = counted(opened, look_ahead(opened, Ledger(opened)))
    assert found == one_by_one(opened)
    points = make_points(opened.space, opened.space.choices(), opened.subject)
    assert look_ahead(opened, Ledger(opened)).points == count_distinct(points) < len(points)
    assert found[0] < len(opened.space)  # seeds without demonstrations, and rates that leave the same ranks


@pytest.mark.parametrize(("rates", "points"), [([0, 0.5], 2), ([0.5], 1)])
def test_the_untouched_model_is_a_point_where_it_can_win(rates: list[float], points: int, tmp_path: Path) -> None:
    space = {"layers": [0], "modules": ["mlp"], "clip_rates": rates, "demo_seeds": [0]}
    content = tiny_study(Path("m"), space=space)
    opened = made_open(check_study(content), StudyFolder(tmp_path), make_subject(CARD))
    fixed = replace(opened, space=replace(opened.space, baseline_competes=False))
    assert look_ahead(fixed, Ledger(fixed)).points == points


def test_looking_ahead_counts_ranges_and_single_layers_as_visiting_them_does(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    opened = open_study(make_study(space=MIXED | {"layers": [1, [0, 1], 0, [0, 0]]}), tmp_path, cache)
    found = counted(opened, look_ahead(opened, Ledger(opened)))
    assert found == one_by_one(opened)


def test_a_range_whose_first_layers_a_clip_leaves_alone_is_the_trial_of_the_others(tmp_path: Path) -> None:
    small = {(0, role): (Shape(2, 2, 1),) for role in ("fc_in", "fc_out")}
    card = replace(CARD, shapes={**CARD.shapes, **small})  # of two singular values a rate of 0.2 drops none
    content = tiny_study(Path("m"), space={"layers": [1, [0, 1]], "clip_rates": [0.2, 0.9], "demo_seeds": [0]})
    opened = made_open(check_study(content), StudyFolder(tmp_path), make_subject(card))
    ahead = look_ahead(opened, Ledger(opened))
    assert counted(opened, ahead) == one_by_one(opened)
    assert ahead.total == 1 + 2 + 1  # untouched; layer 1 at both rates; the range at 0.9


def test_stored_trials_are_not_ahead_whatever_point_they_were_run_for(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    few = make_study(space=MIXED | {"shots": [2], "modules": ["mlp"], "clip_rates": [0.5]})
    run_study(check_study(few), tmp_path / "s", cache, Console(quiet=True))
    opened = open_study(make_study(space=MIXED | {"clip_rates": [0, 0.51, 0.9]}), tmp_path, cache)
    assert resolve(opened.space.visited_clips(2), opened.subject.card).edits
    ahead = look_ahead(opened, Ledger(opened))
    assert counted(opened, ahead) == one_by_one(opened)
    assert ahead.known == 6  # two seeds of the untouched model and of a clip in each of two layers


@pytest.mark.parametrize("limit", [3, 25])
def test_a_limited_grid_is_looked_ahead_as_far_as_it_goes(
    make_study: MakeStudy, tmp_path: Path, cache: Path, limit: int
) -> None:
    content = make_study(space=MIXED | {"modules": ["mlp"]}, search={"n_trials": limit}, task={"test_size": 0})
    ahead = look_ahead(opened := open_study(content, tmp_path, cache), Ledger(opened))
    run_study(check_study(content), tmp_path / "s", cache, Console(quiet=True))
    assert ahead.total == len(opened.table.latest())


def test_looking_ahead_over_a_large_grid_holds_no_more_than_over_a_small_one(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    peaks = []
    for n_rates in (100, 5000):
        rates = [number / n_rates for number in range(n_rates)]
        axes = {"clip_rates": rates, "demo_seeds": list(range(20))}
        opened = open_study(make_study(space=axes), tmp_path / str(n_rates), cache)
        ledger = Ledger(opened)
        tracemalloc.start()
        ahead = look_ahead(opened, ledger)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(opened.space) > 200_000
    assert ahead.total == 20 * (1 + 2 * 31)  # matrices of rank 32
    assert peaks[1] < 1.5 * peaks[0]
