from pathlib import Path

import pytest
import torch

from clipsweep.cluster.replica import Replica, pick_devices
from clipsweep.cluster.work import Batch
from clipsweep.trials.base.errors import PoolError
from tests.cluster.pool_contract import RATES, make_trial, replica_settings
from tests.trials.devices import several_devices


def see_gpus(monkeypatch: pytest.MonkeyPatch, count: int, visible: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def test_a_replica_of_several_gpus_takes_those_that_ray_left_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 2, "4,5")  # torch numbers the visible ones from 0
    assert pick_devices(2) == ["cuda:0", "cuda:1"]
    assert pick_devices(1) == ["cuda"]


def test_a_replica_without_a_gpu_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 0, "")
    assert pick_devices(1) == pick_devices(2) == ["cpu"]


def test_a_replica_that_sees_fewer_gpus_than_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 1, "0")
    with pytest.raises(PoolError, match="gpus_per_replica is 2, and .* 1 GPUs; expected as many"):
        pick_devices(2)


def test_a_replica_on_two_devices_gives_what_one_on_one_device_gives_and_names_both(
    tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    batch = Batch(trials=tuple(make_trial(card, rate) for rate in RATES), microbatch=4)
    alone = Replica(settings, "alone").evaluate(batch)
    monkeypatch.setattr("clipsweep.cluster.replica.pick_devices", lambda _: ["cpu:0", "cpu:1"])
    with several_devices():
        together = Replica(settings, "together").evaluate(batch)
    assert [(each.outcomes, each.scores) for each in together] == [(each.outcomes, each.scores) for each in alone]
    assert {each.device for each in together} == {"cpu:0,cpu:1"}
