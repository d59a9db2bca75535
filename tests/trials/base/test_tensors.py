import torch

from clipsweep.trials.base.tensors import count_bytes, map_tensors
from tests.trials.engine.test_activation_store import kilobyte


def test_shared_tensors_count_once_and_stay_shared() -> None:
    shared = kilobyte()
    value = {"a": shared, "b": [shared, (None, 3, kilobyte())]}
    assert count_bytes(value) == 2048
    copied = map_tensors(value, torch.clone)
    assert copied["a"] is copied["b"][0]
    assert copied["a"] is not shared
    assert copied["b"][1][:2] == (None, 3)
