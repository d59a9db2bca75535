from typing import get_args

import torch

from clipsweep.trials.models.settings import DTYPE_BYTES, Dtype


def test_a_study_can_name_every_dtype_whose_size_is_known_and_torch_agrees() -> None:
    assert {name: getattr(torch, name).itemsize for name in get_args(Dtype)} == DTYPE_BYTES
