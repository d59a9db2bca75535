from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.analysis.winners.pareto import Rated, front_document, hypervolume, pareto_front, rate_points
from tests.analysis.winners.points import make_point, rows_of

VALUES = st.lists(st.tuples(st.sampled_from([n / 10 for n in range(11)]), st.integers(0, 20)), max_size=20)
REFERENCE = (0.0, 20)


def rated(values: list[tuple[float, int]]) -> list[Rated]:
    return [Rated(point=make_point(n), score=score, parameters=count) for n, (score, count) in enumerate(values)]


def values_of(front: list[Rated]) -> list[tuple[float, float]]:
    return [(each.score, each.parameters) for each in front]


def beats(one: Rated, other: Rated) -> bool:
    as_good = one.score >= other.score and one.parameters <= other.parameters
    return as_good and (one.score, one.parameters) != (other.score, other.parameters)


@given(VALUES)
def test_the_front_holds_what_nothing_beats_and_each_value_once(values: list[tuple[float, int]]) -> None:
    points = rated(values)
    front = pareto_front(points)
    unbeaten = {values_of([one])[0] for one in points if not any(beats(other, one) for other in points)}
    assert set(values_of(front)) == unbeaten
    assert len(front) == len(unbeaten)


@given(VALUES)
def test_along_the_front_parameters_and_scores_rise(values: list[tuple[float, int]]) -> None:
    front = values_of(pareto_front(rated(values)))
    assert front == sorted(front, key=lambda value: value[1])
    assert front == sorted(front)


@given(VALUES)
def test_only_the_front_counts_for_the_hypervolume(values: list[tuple[float, int]]) -> None:
    assert hypervolume(values, REFERENCE) == pytest.approx(
        hypervolume(values_of(pareto_front(rated(values))), REFERENCE)
    )


@given(VALUES, VALUES)
def test_more_points_never_cover_less(values: list[tuple[float, int]], more: list[tuple[float, int]]) -> None:
    assert hypervolume(values + more, REFERENCE) >= hypervolume(values, REFERENCE) - 1e-9


def test_the_hypervolume_of_two_steps() -> None:
    assert hypervolume([(0.5, 4), (0.75, 8)], (0.25, 10)) == 0.25 * 6 + 0.25 * 2


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([(0.2, 1), (0.9, 12)], (0.25, 10)) == 0.0


def test_only_complete_points_are_rated() -> None:
    points = [make_point(None), make_point(1), make_point(2)]
    found = rate_points(points, rows_of(base=[5], mlp_1_0__5=[8]))
    assert [(each.point.clips, each.score, each.parameters) for each in found] == [
        ((), 0.5, 5),
        (points[1].clips, 0.8, 5),
    ]


def test_the_document_names_the_clips() -> None:
    (entry,) = front_document(pareto_front(rated([(0.5, 3)])))
    assert (entry["score"], entry["parameters_kept"], entry["shots"]) == (0.5, 3, 4)
    assert entry["clips"] == [{"layer": 0, "module": "mlp", "clip_rate": 0.5, "kind": "svd", "options": None}]


def test_of_equal_points_the_first_is_kept() -> None:
    first, second = rated([(0.5, 3), (0.5, 3)])
    assert pareto_front([first, second]) == [first]
    assert pareto_front([second, replace(first, score=0.4)]) == [second]
