"""Points counted by hand, and what an expectation leaves out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.plan.unlike import count_points, describe_unlike
from clipsweep.orchestrator.study.check import check_study
from tests.orchestrator.plan.test_replayed import TEN

MakeStudy = Callable[..., dict[str, Any]]
BAYES = {"driver": "bayes", "n_trials": 4}
LIKE = replace(TEN, points=4, rows=20)  # the small study's own sizes


@pytest.fixture
def opened(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Callable[..., OpenStudy]:
    def open_study(**sections: Any) -> OpenStudy:
        content = make_study(**{"search": BAYES} | sections)
        return prepare(check_study(content), tmp_path / "s", cache).opened

    return open_study


def test_points_are_sites_times_rates_at_each_number_of_shots(opened: Callable[..., OpenStudy]) -> None:
    assert count_points(opened()) == 2 * 2  # two layers, rates 0.5 and 0.9
    assert count_points(opened(space={"shots": [0, 2]})) == 2 * 2 * 2


def test_joint_points_are_combinations_of_sites_each_at_any_rate(opened: Callable[..., OpenStudy]) -> None:
    joint = opened(space={"clips": {"max": 2}})
    assert count_points(joint) == 2 * 2 + 2 * 2  # one of two sites, or both, each at one of two rates


def test_a_grid_counts_its_rate_of_zero_as_its_limit_does(opened: Callable[..., OpenStudy]) -> None:
    assert count_points(opened(search={"driver": "grid"})) == 2 * 3


def test_a_study_like_those_replayed_is_told_as_one(opened: Callable[..., OpenStudy]) -> None:
    assert describe_unlike(opened(), [LIKE]) == []


@pytest.mark.parametrize(
    ("sections", "like", "words"),
    [
        ({}, replace(LIKE, points=1), "it has 4 points, those had 1"),
        ({}, replace(LIKE, points=200), "it has 4 points, those had 200"),
        ({}, replace(LIKE, rows=1000), "it has 20 validation rows, those had 1,000"),
        ({"space": {"clip_rates": {"high": 0.9}}}, LIKE, "its clip rates are a range, those were listed"),
        ({"space": {"shots": [0, 2]}}, LIKE, "it has 2 numbers of shots, those had one"),
        ({"space": {"kinds": ["zero"], "clip_rates": [0.5, 0.9]}}, LIKE, "it has other kinds of clip, those had svd"),
        ({"search": BAYES | {"max_hours": 2.0}}, LIKE, "search.max_hours may end it earlier"),
        ({"search": BAYES | {"screen": {}}, "task": {"validation_size": 60}}, LIKE, "it has a screen, those had none"),
    ],
)
def test_what_differs_is_told(
    opened: Callable[..., OpenStudy], sections: dict[str, Any], like: Any, words: str
) -> None:
    assert words in describe_unlike(opened(**sections), [like])


def test_a_joint_search_of_fewer_sites_than_there_are_is_told_as_such(opened: Callable[..., OpenStudy]) -> None:
    some = opened(space={"modules": ["attn", "mlp"], "clips": {"max": 3}})
    assert "it clips up to 3 of 4 places at once, those clipped any of theirs" in describe_unlike(some, [LIKE])
