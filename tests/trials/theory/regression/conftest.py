"""The tiny size, trained once for all tests that read it."""

from pathlib import Path

import pytest
import torch

from clipsweep.trials.theory.regression.training import train
from tests.trials.theory.regression.tiny import CPU, TINY, quiet


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model's checkpoints, trained on one thread."""
    folder = tmp_path_factory.mktemp("regression")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(TINY, 0, CPU, folder, quiet)
    torch.set_num_threads(threads)
    return folder
