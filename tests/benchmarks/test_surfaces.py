from pathlib import Path

import numpy as np
import pytest

from clipsweep.orchestrator.study.files import read_studies
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from tests.benchmarks.replay import bayes, pick, replay, space_of
from tests.benchmarks.surfaces import Axes, Surface, load_published, load_surface, stored_names
from tests.conftest import SHARED, needs_shared
from tests.orchestrator.space.spaces import space_over


@pytest.fixture(scope="module", params=stored_names())
def surface(request: pytest.FixtureRequest) -> Surface:
    return load_surface(request.param)


def test_a_surface_begins_with_its_baseline(surface: Surface) -> None:
    assert surface.points[0] == ()
    assert surface.baseline == surface.held_out[0].mean()
    assert surface.parameters_kept[0] == surface.parameters_total


def test_a_surface_has_every_point_of_its_axes_once(surface: Surface) -> None:
    assert list(surface.points) == surface.axes.points()
    assert [surface.index_of(clips) for clips in surface.points] == list(range(len(surface.points)))


def test_the_shapes_of_a_surface_agree(surface: Surface) -> None:
    n_points = len(surface.points)
    assert surface.validation.shape[0] == surface.held_out.shape[0] == n_points
    assert min(surface.validation.shape[1], surface.held_out.shape[1]) >= 1000
    assert surface.values.shape == surface.operations.shape == surface.parameters_kept.shape == (n_points,)


def test_parameters_kept_are_those_of_the_card(surface: Surface) -> None:
    assert surface.parameters_kept.tolist() == [
        resolve(clips, surface.card).parameters_kept for clips in surface.points
    ]


def test_a_later_layer_costs_fewer_operations(surface: Surface) -> None:
    first, last = (
        [each for each, clips in zip(surface.operations, surface.points, strict=True) if clips and clips[0].layer == n]
        for n in (surface.axes.layers[0], surface.axes.layers[-1])
    )
    assert max(last) < min(first)


def test_a_space_of_the_axes_proposes_the_points_of_at_most_one_clip(surface: Surface) -> None:
    axes = surface.axes
    space = space_over(axes.layers, axes.modules, shots=(axes.shots,), clip_rates=axes.clip_rates)
    proposed = {surface.index_of(proposal.spec.clips) for proposal in map(space.proposal, range(len(space)))}
    assert proposed == {number for number, clips in enumerate(surface.points) if len(clips) <= 1}


def test_the_demo_finds_the_best_point_of_its_space() -> None:
    surface, [demo] = load_surface("embedded-joint"), read_studies("quickstart")
    space = space_of(surface)
    assert (demo.task.seed, demo.space.layers, demo.space.clip_rates) == (51, [0, 1, 2, 3], list(space.clip_rates))
    found = replay(surface, bayes(space), **demo.search.model_dump(exclude_unset=True))
    assert found.winner == pick(surface.validation_scores, range(len(surface.points)))
    assert 100 * (surface.values[found.winner] - surface.baseline) == pytest.approx(10.5, abs=0.05)


def test_two_surfaces_at_least_have_two_points_to_gain() -> None:
    assert sum(load_surface(name).gain_to_have >= 0.02 for name in stored_names()) >= 2


def test_the_surfaces_held_aside_have_two_points_to_gain() -> None:
    assert min(load_surface(name).gain_to_have for name in ("sst2-qkvo", "sst2-joint")) >= 0.02


def test_sst2_qkvo_clips_single_matrices_alone() -> None:
    surface = load_surface("sst2-qkvo")
    assert {len(resolve(clips, surface.card).edits) for clips in surface.points[1:]} == {1}


def test_the_best_of_sst2_joint_takes_more_than_one_clip() -> None:
    surface = load_surface("sst2-joint")
    singles = [value for value, clips in zip(surface.values, surface.points, strict=True) if len(clips) == 1]
    assert surface.best > max(singles) + 0.01


def test_no_surface_is_larger_than_two_megabytes() -> None:
    files = (Path(__file__).parent / "surfaces").glob("*.parquet")
    assert max(path.stat().st_size for path in files) < 2e6


def test_joint_axes_hold_every_combination() -> None:
    axes = Axes(layers=(0, 2), modules=("mlp",), clip_rates=(0.0, 0.5), max_clips=2)
    first, second = (Clip(layer=layer, module="mlp", clip_rate=0.5) for layer in (0, 2))
    assert axes.points() == [(), (second,), (first,), (first, second)]


@needs_shared
def test_the_published_surfaces_have_64_points_and_a_baseline() -> None:
    surfaces = load_published(SHARED)
    assert sorted(each.name for each in surfaces) == [
        "published-gpt-j-6b-copa",
        "published-gpt-j-6b-rte",
        "published-llama2-7b-copa",
        "published-llama2-7b-rte",
    ]
    assert all(each.points[0] == () and each.scores.shape == (len(each.points),) == (65,) for each in surfaces)
    assert all(np.isfinite(each.scores).all() and each.gain_to_have > 0 for each in surfaces)
