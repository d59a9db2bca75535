"""A study whose layers a screen chooses is screened once, before its search, and for it."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen, write_study
from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.reporting.report_facts import describe_layers
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.upkeep.verify import verify_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from tests.orchestrator.commands.typed import runner
from tests.orchestrator.run.test_screened import run, screened
from tests.orchestrator.stored import latest_rows, status_of

__all__ = ["screened"]
MakeStudy = Callable[..., dict[str, Any]]
MODULES, RATES = ("attn", "mlp"), (0.5, 0.9)
TRIALS = 2 * (1 + len(MODULES) * len(RATES))  # of each shots the untouched model, and every rate of each module


@pytest.fixture
def content(make_study: MakeStudy) -> dict[str, Any]:
    space = {"layers": {"top_screen": 0.5}, "modules": [*MODULES], "shots": [0, 2], "clip_rates": [0, *RATES]}
    return make_study(task={"validation_size": 60, "test_size": 0}, space=space)


def expected_layer(opened: OpenStudy, module: str) -> int:
    """Of the two layers the one whose best predicted gain, the mean over both numbers of shots, is larger."""
    screens = opened.screen.screens()

    def best(layer: int, shots: int) -> float:
        prompt_set = PromptSet(shots=shots, demo_seed=0, split="validation")
        clips = [Clip(layer=layer, module=module, clip_rate=rate) for rate in RATES]
        found = [screens.predict(prompt_set, [clip]) for clip in clips]
        return max(each.gain for each in found if each is not None)

    return max((0, 1), key=lambda layer: best(layer, 0) + best(layer, 2))


def test_the_layers_with_the_largest_predicted_gain_are_searched_and_nothing_is_screened_twice(
    content: dict[str, Any], tmp_path: Path, cache: Path, screened: list[ScreenRequest]
) -> None:
    run(content, tmp_path / "s", cache)
    rows = latest_rows(tmp_path / "s")
    run(content, tmp_path / "s", cache)
    every = 2 * len(MODULES) * len(RATES)
    assert [(each.prompt_set.shots, each.rows, len(each.clips)) for each in screened] == [
        (0, 60, every),
        (2, 60, every),
    ]
    assert latest_rows(tmp_path / "s") == rows
    opened = reopen(tmp_path / "s")
    clipped = {(clip.module, clip.layer) for row in rows.values() for clip in row.clips}
    assert clipped == {(module, expected_layer(opened, module)) for module in MODULES}
    status = status_of(tmp_path / "s")
    assert (status["done"], status["total"], len(rows)) == (TRIALS, TRIALS, TRIALS)
    assert verify_study(opened).faults == []
    assert describe_layers(opened).endswith(
        "of each module 0.5 of the layers, those with the largest predicted gain (a screen of 60 rows)"
    )


def test_an_interrupted_screen_goes_on_where_it_stopped(
    content: dict[str, Any], tmp_path: Path, cache: Path, screened: list[ScreenRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Replica.screen

    def interrupted(self: Replica, request: ScreenRequest) -> Screened:
        signal.raise_signal(signal.SIGINT)
        return screen(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(Replica, "screen", interrupted)
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(content))
        ended = runner.invoke(app, ["run", str(file), "--dir", str(tmp_path / "s")])
    assert ended.exit_code == 130
    assert "interrupted before the first trial; what was found of the screen is stored. Run it again" in ended.stderr
    assert reopen(tmp_path / "s").pending is not None
    assert len(latest_rows(tmp_path / "s")) == 0
    run(content, tmp_path / "s", cache)
    assert [each.prompt_set.shots for each in screened] == [0, 2]
    assert len(latest_rows(tmp_path / "s")) == TRIALS


def test_before_anything_is_screened_trials_are_counted_and_costs_told(
    content: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    plan = plan_study(check_study(content), tmp_path / "s", cache)
    screen = plan["screen"]
    assert (plan["trials"], screen["prompt_sets"], plan["matrices_to_measure"]) == (TRIALS, 2, 0)
    assert screen["chooses_layers"]
    assert "\nlayers      chosen first, by the screen; until then costs are told for" in describe_plan(plan)
    assert "\nscreen      60 rows x 2 prompt sets: about " in describe_plan(plan)
    opened = prepare(check_study(content), tmp_path / "s", cache).opened
    opened.folder.path.mkdir()
    write_study(opened)
    assert status_of(tmp_path / "s")["total"] == TRIALS
    assert describe_layers(opened).startswith("not chosen yet: of each module 0.5 of the layers")


def test_too_few_rows_are_refused_with_the_rule_that_needs_a_screen(
    content: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    content["task"]["validation_size"] = 20
    with pytest.raises(StudyError, match="screen would see 20 rows.* rules in space.layers that need it"):
        prepare(check_study(content), tmp_path / "s", cache)
