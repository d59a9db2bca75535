"""Which tokens the norm in feature space is of."""

from math import exp

import pytest
import torch

from clipsweep.trials.theory.softmax import log_norm_of_softmax
from tests.benchmarks.theory_longest import shares


def test_the_shares_are_those_worked_out_by_hand() -> None:
    # Head 0: keys -1 and 1 less their mean, values 3 and 1: diagonal 9 e and e, off it 2 · 3 / e. Head 1: keys 0 and 0,
    # values 1 and 0: 1. Both keys of head 0 are equally long, and the first is taken.
    keys = torch.tensor([[[0.0], [2.0]], [[5.0], [5.0]]])
    values = torch.tensor([[[3.0], [1.0]], [[1.0], [0.0]]])
    first, whole = 10 * exp(1) + 6 * exp(-1), 10 * exp(1) + 6 * exp(-1) + 1
    assert list(shares(keys, values, torch.ones(1, 2), 1.0).values()) == [
        pytest.approx(100 * (10 * exp(1) + 1) / whole),
        pytest.approx(100 * first / whole),
        pytest.approx(100 * 9 * exp(1) / first),
    ]
    assert float(log_norm_of_softmax(keys, values, torch.ones(1, 2), 1.0).mul(2).exp()) == pytest.approx(whole)
