"""The implicit update as thin factors."""

import math

import pytest
import torch

from clipsweep.trials.theory import attention
from clipsweep.trials.theory.attention import Projections
from clipsweep.trials.theory.updates import form_update, log_of_norm


def one_head() -> Projections:
    return Projections(
        q=torch.tensor([[1.0, 0.0], [0.0, 3.0]]),
        k=torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
        v=torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
        o=torch.tensor([[1.0, 1.0], [0.0, 1.0]]),
        heads=1,
        groups=1,
    )


def test_an_update_is_what_lemma_1_says() -> None:
    # tokens (1, 2) and (3, 0): V x = (2, 2) and (6, 0), K x = (2, 1) and (0, 3);
    # their outer products sum to ((4, 20), (4, 2)); times Q: ((4, 60), (4, 6)); O times that: ((8, 66), (4, 6));
    # with a scale of 3 over two tokens 3/2 of that
    update = form_update(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), one_head(), 3.0)
    assert update.times(torch.eye(2)).tolist() == [[12.0, 99.0], [6.0, 9.0]]
    assert float(update.log_norm()) == pytest.approx(math.log(144 + 9801 + 36 + 81) / 2, abs=1e-12)


def test_heads_that_share_keys_are_summed() -> None:
    draw = torch.Generator().manual_seed(0)
    q, k, v, o = (torch.randn(shape, generator=draw) for shape in ((8, 6), (4, 6), (6, 6), (6, 12)))
    read = torch.randn(5, 6, generator=draw)
    update = form_update(read, Projections(q=q, k=k, v=v, o=o, heads=4, groups=2), 5.0)  # over five tokens
    expected = torch.zeros(6, 6)
    for head in range(4):
        group = head // 2
        inner = (read @ v[3 * group : 3 * group + 3].T).T @ (read @ k[2 * group : 2 * group + 2].T)
        expected += o[:, 3 * head : 3 * head + 3] @ inner @ q[2 * head : 2 * head + 2]
    torch.testing.assert_close(update.times(torch.eye(6)), expected)


def test_a_norm_is_the_same_however_many_rows_are_formed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    update = form_update(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), one_head(), 2.0)
    monkeypatch.setattr(attention, "ENTRIES_AT_ONCE", 1)
    assert float(update.log_norm()) == pytest.approx(math.log(4472) / 2, abs=1e-12)


def test_half_precision_is_read_as_float32() -> None:
    read = torch.tensor([[300.0, 300.0]], dtype=torch.float16)  # whose update has entries beyond what float16 holds
    assert float(form_update(read, one_head(), 1.0).log_norm()) == pytest.approx(
        float(form_update(read.double(), one_head(), 1.0).log_norm()), abs=1e-12
    )
    assert math.isfinite(float(form_update(read, one_head(), 1.0).log_norm()))


def test_the_log_of_the_norm_of_zero_is_minus_infinity() -> None:
    assert float(log_of_norm(torch.zeros(3))) == -math.inf


def test_squares_beyond_float32_do_not_overflow() -> None:
    assert float(log_of_norm(torch.tensor([3e30, 4e30]))) == pytest.approx(math.log(5) + 30 * math.log(10), abs=1e-6)
