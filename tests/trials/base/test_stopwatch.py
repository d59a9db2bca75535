"""Time of pieces of work."""

import time

import pytest
import torch

from clipsweep.trials.base.stopwatch import Stopwatch

CPU = torch.device("cpu")


def test_pieces_add_up_and_what_lies_between_does_not_count() -> None:
    stopwatch = Stopwatch()
    with stopwatch.running(CPU):
        time.sleep(0.02)
    time.sleep(0.2)
    with stopwatch.running(CPU):
        time.sleep(0.02)
    assert 0.04 <= stopwatch.seconds() < 0.2


@pytest.mark.gpu
def test_work_of_a_gpu_counts_until_it_is_done() -> None:
    device = torch.device("cuda")
    large = torch.ones(8192, 8192, device=device)
    stopwatch = Stopwatch()
    with stopwatch.running(device):
        for _ in range(20):
            large @ large
    assert stopwatch.seconds() > 0.02  # 22 Tflop in float32: no device of today does that in less
    assert stopwatch.seconds() == stopwatch.seconds()
