from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.cluster.local_pool import LocalPool
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import ReplicaSettings
from clipsweep.trials.base.errors import ModelError, TaskError
from clipsweep.trials.models.card import ModelCard
from tests.cluster.pool_contract import PoolContract, replica_settings


@pytest.fixture
def settings(tiny_gptj: Path, cache: Path) -> ReplicaSettings:
    return replica_settings(tiny_gptj, cache)[0]


@pytest.fixture
def card(tiny_gptj: Path, cache: Path) -> ModelCard:
    return replica_settings(tiny_gptj, cache)[1]


class TestLocalPool(PoolContract):
    @pytest.fixture
    def pool(self, settings: ReplicaSettings) -> Iterator[Pool]:
        pool = LocalPool(settings)
        yield pool
        pool.close()


def test_a_node_with_another_checkpoint_is_refused(settings: ReplicaSettings) -> None:
    with pytest.raises(ModelError, match="is another checkpoint than the driver's"):
        Replica(replace(settings, model_fingerprint="0"), "r")


def test_a_node_with_other_rows_is_refused(settings: ReplicaSettings) -> None:
    with pytest.raises(TaskError, match="has other rows than the driver's"):
        Replica(replace(settings, task_fingerprint="0"), "r")
