"""Implicit gradients by probes."""

import math

import pytest
import torch
from torch import Tensor

from clipsweep.trials.theory.gradients import Probes, draw_probes, pass_block
from clipsweep.trials.theory.updates import Update
from tests.trials.theory.by_hand import gradients_by_hand, log_norms


def draw_updates(width: int, rank: int = 3, count: int = 5, size: float = 1.0) -> list[Update]:
    draw = torch.Generator().manual_seed(width)
    shapes = (width, rank), (rank, width)
    return [
        thin(size * torch.randn(shapes[0], generator=draw), torch.randn(shapes[1], generator=draw))
        for _ in range(count)
    ]


def thin(outer: Tensor, queries: Tensor) -> Update:
    """Their product as the update of one head."""
    return Update(outer=outer, core=torch.eye(len(queries))[None], queries=queries)


def pass_all(updates: list[Update], probes: Probes) -> list[float]:
    found = []
    for update in updates:
        log_norm, probes = pass_block(update, probes)
        found.append(float(log_norm))
    return found


def by_hand(updates: list[Update]) -> list[float]:
    return log_norms(gradients_by_hand([update.outer.double() @ update.queries.double() for update in updates]))


def test_one_entry_solved_by_hand() -> None:
    # ΔW = 2 and 3: G = 2 and 3 · (1 + 2) = 9
    updates = [thin(torch.tensor([[size]]), torch.ones(1, 1)) for size in (2.0, 3.0)]
    assert pass_all(updates, draw_probes(1)) == pytest.approx([math.log(2), math.log(9)])


def test_probes_of_the_identity_are_exact() -> None:
    updates = draw_updates(width=12)
    assert pass_all(updates, draw_probes(12)) == pytest.approx(by_hand(updates), abs=1e-6)


def test_up_to_a_width_of_256_nothing_is_drawn() -> None:
    probes = draw_probes(256)
    torch.testing.assert_close(probes.columns * probes.log_scale.exp().float(), torch.eye(256))


def test_of_a_wider_model_256_probes_are_at_right_angles() -> None:
    probes = draw_probes(300)
    columns = probes.columns.double() * probes.log_scale.exp()
    # the mean of ‖A P‖² is ‖A‖² where P Pᵀ is the identity on average: of 256 columns out of 300 300/256 on 256 of them
    torch.testing.assert_close(columns.T @ columns, 300 / 256 * torch.eye(256).double(), atol=1e-6, rtol=0)


def test_fewer_probes_than_the_width_are_near() -> None:
    updates = draw_updates(width=200, rank=40)
    found, expected = pass_all(updates, draw_probes(200, most=64)), by_hand(updates)
    # the share of ‖G‖² that a draw is off by has a deviation of √2 · ‖GᵀG‖ / ‖G‖² / √64, at most √(2 / 64)
    assert found == pytest.approx(expected, abs=3 * math.sqrt(2 / 64) / 2)
    assert found != pytest.approx(expected, abs=1e-6)


def test_many_blocks_of_large_updates_do_not_overflow() -> None:
    updates = draw_updates(width=8, count=20, size=1e6)  # ‖G‖ is beyond what float32 holds after six
    found = pass_all(updates, draw_probes(8))
    assert found == pytest.approx(by_hand(updates), rel=1e-4)
    assert found[-1] > math.log(torch.finfo(torch.float32).max)


def test_an_update_of_zero_has_a_gradient_of_zero() -> None:
    nothing = thin(torch.zeros(2, 1), torch.ones(1, 2))
    log_norm, probes = pass_block(nothing, draw_probes(2))
    assert float(log_norm) == -math.inf
    torch.testing.assert_close(probes.columns * probes.log_scale.exp(), torch.eye(2))


def test_probes_that_end_in_zero_stay_so() -> None:
    away = thin(-torch.eye(2), torch.eye(2))  # 1 + ΔW = 0
    _, probes = pass_block(away, draw_probes(2))
    log_norm, _ = pass_block(away, probes)
    assert float(log_norm) == -math.inf
    assert not torch.isnan(probes.columns).any()
