"""The norm in the feature space of the softmax kernel."""

import math

import pytest
import torch
from torch import Tensor

from clipsweep.trials.theory import softmax
from clipsweep.trials.theory.softmax import log_norm_of_softmax, output_products


def log_norm(keys: Tensor, values: Tensor, output: Tensor, scale: float) -> Tensor:
    return log_norm_of_softmax(keys, values, output_products(output, len(values), values.shape[2]), scale)


def drawn(groups: int = 2, heads: int = 4, tokens: int = 7, size: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    keys, values = (torch.randn(groups, tokens, each, generator=draw) for each in (size, 3))
    return keys, values, torch.randn(5, heads * 3, generator=draw)


def features(key: Tensor, order: int) -> Tensor:
    """``φ(k)`` up to powers of some order: all products of that many entries, over the root of its factorial."""
    powers = [torch.ones(1, dtype=torch.float64)]
    for _ in range(order):
        powers.append(torch.outer(powers[-1], key).flatten())
    return torch.cat([power / math.sqrt(math.factorial(n)) for n, power in enumerate(powers)])


def test_two_tokens_solved_by_hand() -> None:
    # less their mean the keys 0 and 2 are 1 below and 1 above zero; Σ exp(k_i k_j) v_i v_j = 9 e + e + 2 · 3 / e
    keys, values = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[3.0], [1.0]]])
    found = log_norm(keys, values, torch.ones(1, 1), scale=1.0)
    assert float(found) == pytest.approx(math.log(10 * math.e + 6 / math.e) / 2, abs=1e-7)


def test_it_is_the_norm_in_a_space_of_features() -> None:
    keys, values, output = drawn()
    total = 0.0
    for head in range(4):
        centred = (keys[head // 2] - keys[head // 2].mean(dim=0)).double() * 0.6**0.5
        outputs = (values[head // 2] @ output[:, 3 * head : 3 * head + 3].T).double()
        whole = sum(torch.outer(one, features(key, 14)) for one, key in zip(outputs, centred, strict=True))
        total += float(torch.as_tensor(whole).square().sum())
    assert float(log_norm(keys, values, output, 0.6)) == pytest.approx(math.log(total) / 2, abs=1e-5)


def test_moving_all_keys_by_one_vector_changes_nothing() -> None:
    keys, values, output = drawn()
    moved = log_norm(keys + torch.tensor([3.0, -1.0]), values, output, 0.5)
    assert float(moved) == pytest.approx(float(log_norm(keys, values, output, 0.5)), abs=1e-5)


def test_it_is_the_same_however_many_tokens_are_taken_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log_norm(*drawn(), 0.5)
    monkeypatch.setattr(softmax, "TOKENS_AT_ONCE", 3)
    assert float(log_norm(*drawn(), 0.5)) == pytest.approx(float(whole), abs=1e-6)


def test_large_keys_do_not_overflow() -> None:
    keys = torch.tensor([[[-40.0], [40.0]]])  # exp(1600) is far beyond float64
    found = log_norm(keys, torch.ones(1, 2, 1), torch.ones(1, 1), scale=1.0)
    assert float(found) == pytest.approx((1600 + math.log(2)) / 2, abs=1e-4)


def test_values_of_zero_have_a_norm_of_zero() -> None:
    keys, values, output = drawn()
    assert float(log_norm(keys, 0 * values, output, 1.0)) == -math.inf
