from math import log

import pytest
import torch

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.theory.bound import generalization_bound
from clipsweep.trials.theory.linear_stack import LinearBlock, Step, implicit_updates, trajectory
from tests.trials.theory.stacks import draw_blocks


def steps_of_numbers(*updates: tuple[float, ...]) -> tuple[Step, ...]:
    """Steps of blocks of width 1, for each block its updates in all sets."""
    return trajectory([torch.tensor(each, dtype=torch.float64)[:, None, None] for each in updates])


def draw_sets(seed: int, sets: int, width: int = 2, tokens: int = 6) -> torch.Tensor:
    return torch.randn(sets, width, tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_one_entry_gives_the_bound_worked_out_by_hand() -> None:
    # ΔW_1 is 2 or 4, so G_1 has mean 3, C_1 = 1 and d = 1 (one entry is never shrunk elsewhere than to itself).
    # Term: (log(4 + 1) + log(16 + 1)) / 2 - log 1.
    # ΔW_2 = 1 or 3, 1 + W_1 = 3 or 5, G_2 = 3 or 15, mean 9, C_2 = 36: (log(9 + 36) + log(225 + 36)) / 2 - log 36.
    # In one dimension |ΔW_2| |1 + W_1| is |G_2|, so both forms are the same. N = 5 and R = 2: 2 · sqrt(sum / 5).
    bound = generalization_bound(steps_of_numbers((2, 4, 2, 4), (1, 3, 1, 3)), demonstrations=5, spread=2)
    first, second = (log(5) + log(17)) / 2, (log(45) + log(261)) / 2 - log(36)
    assert [block.product for block in bound.blocks] == [pytest.approx(first), pytest.approx(second)]
    assert bound.product == bound.tight == pytest.approx(2 * ((first + second) / 5) ** 0.5)
    assert bound.reason is None
    assert [(block.update, block.gradient) for block in bound.blocks] == [(3, 3), (2, 9)]


def test_a_diagonal_covariance_gives_the_terms_worked_out_by_hand() -> None:
    # G_1 = ΔW_1 has one entry of ±a_j at a time, a = (1, 2, 3, 4): C = diag(1, 4, 9, 16) / 4, tr C = 7.5; norms are a.
    # Range: d = 4, no shrinkage: 4 · Σ_j log((a_j² + 7.5) / 4) / 4 - Σ_j log(a_j² / 4). 16 sets of 4 entries do.
    sets = torch.cat([sign * torch.diag(torch.tensor([1.0, 2, 3, 4], dtype=torch.float64)) for sign in (1, -1)] * 2)
    steps = trajectory([sets.reshape(16, 2, 2)])
    bound = generalization_bound(steps, demonstrations=1, spread=1, singular="range")
    squares = (1, 4, 9, 16)
    expected = sum(log((each + 7.5) / 4) for each in squares) - sum(log(each / 4) for each in squares)
    assert bound.blocks[0].rank == 4
    assert bound.blocks[0].tight == pytest.approx(expected)
    # |1 + W_0|² = 2, so the product is of twice the squares
    product = sum(log((2 * each + 7.5) / 4) for each in squares) - sum(log(each / 4) for each in squares)
    assert bound.product == pytest.approx(product**0.5)


def test_the_tight_form_is_never_larger() -> None:
    steps = trajectory(implicit_updates(draw_blocks(0, 2, 3), draw_sets(1, 400)))
    bound = generalization_bound(steps, demonstrations=6, spread=1, singular="range")
    assert bound.tight is not None
    assert bound.product is not None
    assert 0 < bound.tight < bound.product


def test_too_few_sets_give_norms_and_no_bound() -> None:
    steps = trajectory(implicit_updates(draw_blocks(0, 2, 2), draw_sets(1, 15)))
    bound = generalization_bound(steps, demonstrations=6, spread=1, singular="range")
    assert (bound.product, bound.tight) == (None, None)
    assert bound.reason == "15 demonstration sets are too few to estimate C_t of 4 entries; at least 16 are needed"
    assert bound.blocks[0].update == pytest.approx(float(steps[0].update.flatten(1).norm(dim=1).mean()))


def test_the_first_block_of_a_stack_has_a_singular_covariance_and_so_no_bound() -> None:
    # G_1 = value · H Hᵀ · keyᵀ · query, and H Hᵀ is symmetric: width (width + 1) / 2 = 3 numbers of 4 entries.
    steps = trajectory(implicit_updates(draw_blocks(0, 2, 2), draw_sets(1, 400)))
    bound = generalization_bound(steps, demonstrations=6, spread=1)
    assert [block.rank for block in bound.blocks] == [3, 4]
    assert bound.product is None
    assert bound.reason == "C_t of block 0 is singular: it has rank 3 of 4, and so no logarithm"


def test_a_bound_that_is_there_by_shrinkage_alone_grows_with_the_number_of_sets() -> None:
    one, sets = torch.eye(2, dtype=torch.float64), draw_sets(1, 40_000)
    blocks = [LinearBlock(query=one, key=one, value=one)]
    few, many = (
        generalization_bound(
            trajectory(implicit_updates(blocks, sets[:count])), demonstrations=6, spread=1, singular="shrink"
        ).blocks[0]
        for count in (400, 40_000)
    )
    assert few.tight is not None
    assert many.tight is not None
    # one eigenvalue of four is the shrinkage alone, which falls as one over the sets: log 100 = 4.6 nats more, about
    assert many.tight - few.tight == pytest.approx(log(100), abs=1)


def test_updates_that_do_not_vary_have_no_shrunk_covariance_either() -> None:
    steps = steps_of_numbers((2, 2, 2, 2))
    assert generalization_bound(steps, demonstrations=1, spread=1, singular="shrink").product is None
    assert generalization_bound(steps, demonstrations=1, spread=1, singular="range").product == 0


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SpecError, match="a spread of 0 and 1 steps are given; expected N and R"):
        generalization_bound(steps_of_numbers((2, 4)), demonstrations=5, spread=0)
    with pytest.raises(SpecError, match=r"steps of shape \(sets, width, width\)"):
        generalization_bound(trajectory([torch.ones(1, 1, dtype=torch.float64)]), demonstrations=5, spread=1)


def test_steps_on_another_device_than_the_default_one_have_a_bound() -> None:
    steps = steps_of_numbers((2, 4, 2, 4))
    expected = generalization_bound(steps, demonstrations=5, spread=2)
    with torch.device("meta"):  # a tensor made without naming a device would be there
        assert generalization_bound(steps, demonstrations=5, spread=2) == expected
