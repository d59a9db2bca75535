"""Studies that compose clip upon clip: a real model, real rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import clipsweep
from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.drivers.compose import ComposeDriver
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.space.composition import compose
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from tests.conftest import tiny_study
from tests.orchestrator.drivers.test_assemble import interrupt_at
from tests.orchestrator.run.test_session import fail_on
from tests.orchestrator.space.test_composition import adds_up, make_space
from tests.orchestrator.stored import all_rows, latest_rows, status_of, take_snapshot

Run = Callable[..., dict[str, StoredRow]]
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0, 0.3, 0.6, 0.9], "shots": [2]}
STEPS, TRIED = 4, 3


def composition(model: Path, space: dict[str, Any] | None = None, **search: Any) -> Study:
    """A small study of driver compose."""
    task = {"validation_size": 40}
    driver = {"driver": "compose", **search}
    return check_study(tiny_study(model, task=task, space={**SPACE, **(space or {})}, search=driver))


@pytest.fixture(scope="module")
def whole(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one that has run to its end; for reading."""
    folder = tmp_path_factory.mktemp("whole")
    run_study(composition(tiny_gptj), folder / "s", folder / "cache", Console(quiet=True))
    return folder / "s"


@pytest.fixture
def run(tiny_gptj: Path, tmp_path: Path, cache: Path) -> Run:
    """Run such a study; gives the latest row of each trial."""

    def run_it(space: dict[str, Any] | None = None, **search: Any) -> dict[str, StoredRow]:
        run_study(composition(tiny_gptj, space, **search), tmp_path / "s", cache, Console(quiet=True))
        return dict(latest_rows(tmp_path / "s").items())

    return run_it


def composed_by_hand(rows: dict[str, StoredRow]) -> tuple[Clip, ...]:
    """The composition by its definition, from stored rows: layer 1, then 0; of each mlp, then attn."""
    scores = {row.clips: row.accuracy or 0.0 for row in rows.values() if row.split == "validation"}
    kept_so_far: tuple[Clip, ...] = ()
    for layer, module in ((1, "mlp"), (1, "attn"), (0, "mlp"), (0, "attn")):
        tried = {clips: score for clips, score in scores.items() if _adds(clips, kept_so_far, layer, module)}
        assert len(tried) == TRIED
        best = max(
            sorted(tried, key=lambda clips: sum(clip.clip_rate for clip in clips)), key=lambda clips: tried[clips]
        )
        if tried[best] > scores[kept_so_far]:
            kept_so_far = best
    return kept_so_far


def _adds(clips: tuple[Clip, ...], before: tuple[Clip, ...], layer: int, module: str) -> bool:
    """Whether clips are those from before and one more, of this layer and module."""
    added = [clip for clip in clips if clip not in before]
    return {*before} <= {*clips} and [(clip.layer, clip.module) for clip in added] == [(layer, module)]


def test_the_winner_is_what_the_steps_kept(whole: Path) -> None:
    rows = dict(latest_rows(whole).items())
    winner = take_snapshot(whole).standings.winner
    assert winner is not None
    assert len(winner.point.clips) > 0
    assert winner.point.clips == composed_by_hand(rows)
    assert winner.gain.split == "test"
    assert winner.considered == 1 + STEPS * TRIED


def test_a_least_gain_keeps_out_what_gains_less_even_where_that_scored_highest(run: Run, tmp_path: Path) -> None:
    run(min_gain=0.99)
    winner = take_snapshot(tmp_path / "s").standings.winner
    assert winner is not None
    assert winner.point.clips == ()


def test_the_plan_and_the_status_count_every_step(whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    plan = plan_study(composition(tiny_gptj), tmp_path / "planned", cache)
    assert plan["trials_to_run"] == 1 + STEPS * TRIED
    assert "what will be kept is not known" in plan["notes"][0]
    rows = latest_rows(whole)
    assert len([row for row in rows.values() if row.split == "validation"]) == 1 + STEPS * TRIED
    status = status_of(whole)
    assert (status["state"], status["done"], status["total"]) == ("done", len(rows), len(rows))


def test_it_stops_at_the_most_clips(run: Run, tmp_path: Path) -> None:
    rows = run(max_clips=1)
    winner = take_snapshot(tmp_path / "s").standings.winner
    assert winner is not None
    assert len(winner.point.clips) == 1
    assert {len(row.clips) for row in rows.values()} == {0, 1}
    assert status_of(tmp_path / "s")["state"] == "done"


def test_one_that_was_cut_off_goes_on_and_ends_as_if_it_had_not_been(
    run: Run, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        partly = run()
    assert status_of(tmp_path / "s")["state"] == "interrupted"
    resumed = run()
    assert 0 < len(partly) < len(resumed)
    assert resumed.keys() == latest_rows(whole).keys()
    assert {row.attempt for row in resumed.values()} == {1}


def test_one_that_has_ended_runs_nothing_again(
    whole: Path, tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Replica, "__init__", never)
    before = len(all_rows(whole))
    run_study(composition(tiny_gptj), whole, cache, Console(quiet=True))
    assert len(all_rows(whole)) == before


def test_each_number_of_shots_has_a_composition_of_its_own(run: Run, tmp_path: Path) -> None:
    run(space={"shots": [2, 0], "demo_seeds": [0, 1], "modules": ["mlp"], "clip_rates": [0.6, 0.9]})
    snapshot = take_snapshot(tmp_path / "s")
    found = snapshot.opened.compositions(snapshot.rows)
    assert [composition.kept.shots for composition in found] == [2, 0]
    assert [len(composition.steps) for composition in found] == [2, 2]
    validation = [row for row in snapshot.rows.values() if row.split == "validation"]
    assert len(validation) == 2 * (1 + 2 * 2) + (1 + 2 * 2)  # without shots both seeds are one trial


def test_a_trial_that_fails_is_out_of_its_step_and_tried_again_in_the_next_run(
    run: Run, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, lambda clips: any((clip.layer, clip.clip_rate) == (1, 0.6) for clip in clips))
        failed = run()
    assert {row.state for row in failed.values()} == {TrialState.COMPLETE, TrialState.FAILED}
    assert {len(step.tried) for step in steps_of(tmp_path / "s")} == {TRIED}
    assert status_of(tmp_path / "s")["state"] == "failed"
    again = run()
    assert again.keys() >= latest_rows(whole).keys()
    assert kept_in(tmp_path / "s") == kept_in(whole)


def steps_of(folder: Path) -> Any:
    snapshot = take_snapshot(folder)
    (composition,) = snapshot.opened.compositions(snapshot.rows)
    return composition.steps


def kept_in(folder: Path) -> Any:
    return steps_of(folder)[-1].after


def test_every_step_is_told_with_its_gain_by_best_and_the_report(whole: Path, tmp_path: Path) -> None:
    study = clipsweep.open_study(whole)
    best = study.best()
    assert best is not None
    assert [step["step"] for step in best["steps"]] == [1, 2, 3, 4]
    taken = [step for step in best["steps"] if step["kept"]]
    assert best["score"] - best["baseline_score"] == pytest.approx(sum(step["gain"]["estimate"] for step in taken))
    assert all(step["gain"]["low"] <= step["gain"]["estimate"] <= step["gain"]["high"] for step in taken)
    assert f"steps     2 shots: {len(taken)} of 4 steps kept a clip" in (study.describe() or "")
    page = study.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Steps of the composition" in page
    assert page.count('data-label="kept">yes</td>') == len(taken)


def test_a_stopping_rule_ends_it_within_a_step_and_without_it_it_goes_on(run: Run, whole: Path, tmp_path: Path) -> None:
    rows = run(n_trials=4)
    assert len([row for row in rows.values() if row.split == "validation" and row.clips]) == 4
    assert status_of(tmp_path / "s")["stopped_by"] == "search.n_trials: 4"
    assert len(steps_of(tmp_path / "s")) == 1
    assert run().keys() >= latest_rows(whole).keys()
    assert kept_in(tmp_path / "s") == kept_in(whole)


def test_the_driver_asks_for_a_step_when_the_one_before_has_been_told() -> None:
    space = make_space(shots=(4,), demo_seeds=(0, 1))
    driver = ComposeDriver(space)
    sizes = []
    while not driver.done:
        asked = driver.ask(100)
        sizes.append(len(asked))
        assert driver.ask(1) == []
        for proposal in asked:
            driver.tell(proposal, told(proposal))
    assert sizes == [2, 4, 4, 4, 4, 4, 4]  # two seeds of the untouched model, then of two rates


def told(proposal: Proposal) -> StoredRow:
    return StoredRow.of({"state": "complete", "accuracy": adds_up()(proposal.choice)})


def test_what_earlier_runs_began_is_asked_for_first_and_owed() -> None:
    space = make_space()
    first, second = compose(space, 4, adds_up()).steps[0].tried
    driver = ComposeDriver(space, lambda choice: None if choice.clips else 0.5, {second})
    assert driver.owing
    assert [proposal.choice for proposal in driver.ask(2)] == [second, first]
    assert not driver.owing
