"""A second kind of clip, by its entry in the table alone, through whole studies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.kinds import KINDS, KindEntry
from tests.orchestrator.stored import latest_rows, take_snapshot

MakeStudy = Callable[..., dict[str, Any]]
SPACE = {"layers": [0, 1], "modules": ["mlp"], "clip_rates": [0, 0.5, 0.9], "kinds": ["svd", "blank"]}
SEARCHES: list[dict[str, Any]] = [{"driver": "grid"}, {"driver": "bayes", "n_trials": 6}]


@pytest.fixture(autouse=True)
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "blank", KindEntry("tests.trials.clips.test_kind:Blank"))


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: str(search["driver"]))
def test_a_study_sweeps_a_new_kind_like_any_other(
    make_study: MakeStudy, tmp_path: Path, cache: Path, search: dict[str, Any]
) -> None:
    content = make_study(space=SPACE, search=search, task={"test_size": 0})
    run_study(check_study(content), tmp_path / "s", cache, Console(quiet=True))
    rows = latest_rows(tmp_path / "s").values()
    clips = {(clip.kind, clip.layer) for row in rows for clip in row.clips}
    assert clips == {(kind, layer) for kind in ("svd", "blank") for layer in (0, 1)}
    # blank leaves the same whatever the rate: one trial for each layer, beside two rates of svd and the untouched model
    assert len(rows) == 1 + 2 * 2 + 2
    assert describe_winner(take_snapshot(tmp_path / "s").standings).startswith("winner ")


def test_points_keep_the_kind_of_their_clip(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    content = make_study(space=SPACE | {"clip_rates": [0.5], "kinds": ["blank"]}, task={"test_size": 0})
    run_study(check_study(content), tmp_path / "s", cache, Console(quiet=True))
    points = take_snapshot(tmp_path / "s").standings.points
    assert {point.single.kind for point in points if point.single} == {"blank"}


def test_an_unknown_kind_is_refused_with_those_that_there_are(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="'space.kinds.0' is 'sdv'; expected .*'svd'"):
        check_study(make_study(space={"kinds": ["sdv"]}))
