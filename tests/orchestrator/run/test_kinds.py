"""Kinds of clip through whole studies: one by its entry in the table alone, then every one that there is."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.kinds import KINDS, KindEntry
from clipsweep.trials.spec.result import TrialState
from tests.conftest import tiny_study
from tests.orchestrator.commands.typed import json_of, runner
from tests.orchestrator.stored import all_rows, latest_rows, take_snapshot

MakeStudy = Callable[..., dict[str, Any]]
SPACE: dict[str, Any] = {"layers": [0, 1], "modules": ["mlp"], "clip_rates": [0, 0.5, 0.9], "kinds": ["svd", "blank"]}
SEARCHES: list[dict[str, Any]] = [{"driver": "grid"}, {"driver": "bayes", "n_trials": 6}, {"driver": "compose"}]


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


EVERY: list[Any] = [
    *("svd", "magnitude", "zero", "tail"),
    {"window": {"drop": [2, 5]}},
    {"random": {"seed": 1}},
    {"random": {"seed": 2}},
    *("randomised", "cumulative", "whitened"),
    {"whitened": {"split": "validation", "rows": 3}},
]


@pytest.fixture(scope="module")
def every_kind(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of every kind, cut off in the middle and resumed."""
    folder = tmp_path_factory.mktemp("every")
    space = SPACE | {"layers": [1], "kinds": EVERY}
    for kinds in (EVERY[:5], EVERY):
        content = tiny_study(tiny_gptj, space=space | {"kinds": kinds}, task={"test_size": 6})
        run_study(check_study(content), folder / "s", folder / "cache", Console(quiet=True))
    return folder / "s"


def test_a_study_of_every_kind_runs_each_matrix_once(every_kind: Path) -> None:
    rows = [row for row in all_rows(every_kind) if row.split == "validation"]
    assert {row.state for row in rows} == {TrialState.COMPLETE}
    assert len({row.trial_id for row in rows}) == len(rows)
    by_kind = Counter(clip.of_kind.words for row in rows for clip in row.clips)
    once = {"zero": 1, "window, drop [2, 5]": 1}  # whatever the rate
    thrice = {"randomised, seed 0": 3, "cumulative, rates [0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995], seed 0": 3}
    twice = [words for words in by_kind if words not in once | thrice]
    assert by_kind == {**once, **thrice, **dict.fromkeys(twice, 2)}
    assert len(twice) == 7
    assert sum(not row.clips for row in rows) == 1


def test_points_of_kinds_with_options_find_their_rows_again(every_kind: Path) -> None:
    snapshot = take_snapshot(every_kind)
    points = [point for point in snapshot.standings.points if point.single]
    assert len(points) == 3 * len(EVERY)
    assert all(trial_id in latest_rows(every_kind) for point in points for trial_id in point.trial_ids)
    assert describe_winner(snapshot.standings).startswith("winner ")


def test_rows_hold_the_options_and_commands_name_the_kind(every_kind: Path) -> None:
    shown = json_of("results", str(every_kind), "--where", "split=validation")
    options = {clip["options"] for row in shown for clip in row["clips"] if clip["kind"] == "random"}
    assert options == {'{"seed": 1}', '{"seed": 2}'}
    printed = runner.invoke(app, ["results", str(every_kind), "--format", "markdown"]).stdout
    assert "random, seed 2" in printed
    assert "| kind | clip_rate |" in printed


def test_a_search_draws_kinds_with_options_and_resumes_from_them(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    kinds = ["svd", {"random": {"seed": 3}}, {"window": {"drop": [0, 4]}}]
    space = SPACE | {"kinds": kinds, "clips": {"max": 2}}
    for n_trials in (5, 9):
        content = make_study(space=space, search={"driver": "bayes", "n_trials": n_trials}, task={"test_size": 0})
        run_study(check_study(content), tmp_path / "s", cache, Console(quiet=True))
    rows = list(all_rows(tmp_path / "s"))
    assert len({row.trial_id for row in rows}) == len(rows)
    assert {clip.kind for row in rows for clip in row.clips} == {"svd", "random", "window"}
