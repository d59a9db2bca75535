from pathlib import Path

import pytest

from clipsweep.cluster.on_ray.deadlines import COLD_FLOORS, WARM_TIMES, limit_s, traits
from clipsweep.cluster.work import Batch
from clipsweep.trials.models.card import ModelCard
from tests.cluster.pool_contract import make_trial, replica_settings

FLOOR = 60.0


@pytest.fixture(scope="module")
def card(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return replica_settings(tiny_gptj, tmp_path_factory.mktemp("cache"))[1]


@pytest.mark.parametrize(("expected_s", "allowed_s"), [(1.0, FLOOR), (100.0, WARM_TIMES * 100.0)])
def test_a_call_of_a_known_kind_may_take_several_times_what_is_expected_and_the_floor_at_least(
    card: ModelCard, expected_s: float, allowed_s: float
) -> None:
    batch = Batch(trials=(make_trial(card, 0.5),), microbatch=8, expected_s=expected_s)
    assert limit_s(batch, traits(batch), 0, FLOOR) == allowed_s


def test_a_call_may_take_much_longer_where_the_replica_meets_its_layer_for_the_first_time(card: ModelCard) -> None:
    known = traits(Batch(trials=(make_trial(card, 0.5, layer=0),), microbatch=8))
    batch = Batch(trials=(make_trial(card, 0.5, layer=1),), microbatch=8, expected_s=1.0)
    assert limit_s(batch, known, 0, FLOOR) == COLD_FLOORS * FLOOR


def test_a_call_may_take_much_longer_while_no_pace_is_known(card: ModelCard) -> None:
    batch = Batch(trials=(make_trial(card, 0.5),), microbatch=8)
    assert limit_s(batch, traits(batch), 0, FLOOR) == COLD_FLOORS * FLOOR


def test_singular_values_may_take_as_long_as_the_first_call(card: ModelCard) -> None:
    assert limit_s((0, "q"), set(), 0, FLOOR) == COLD_FLOORS * FLOOR


def test_each_death_doubles_what_the_next_attempt_may_take(card: ModelCard) -> None:
    batch = Batch(trials=(make_trial(card, 0.5),), microbatch=8, expected_s=1.0)
    assert [limit_s(batch, traits(batch), deaths, FLOOR) for deaths in (0, 1, 2)] == [60, 120, 240]
