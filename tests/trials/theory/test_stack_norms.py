import pytest
import torch

from clipsweep.trials.theory.linear_stack import LinearBlock
from clipsweep.trials.theory.stack_norms import stack_norms
from tests.trials.theory.stacks import draw_blocks, draw_states, matrix

ONE = matrix((1, 0), (0, 1))


def test_the_bound_as_the_paper_writes_it_is_below_the_norm_for_equal_demonstrations() -> None:
    # Three demonstrations h = (1, 0), all matrices the identity: each h ⊗ h is [[1, 0], [0, 0]], of norm 1, so that
    # ΔW = 3 · [[1, 0], [0, 0]] and |ΔW|² = 9. With |query|² = 2, UB = 3 · 1 · 2 = 6 is less than 9.
    # Bounds: 3 · UB = 18, and the square of the sum, (3 · √2)² = 18.
    (norms,) = stack_norms([LinearBlock(query=ONE, key=ONE, value=ONE)], matrix((1, 1, 1), (0, 0, 0)))
    assert norms.update**2 == pytest.approx(9)
    assert norms.stated == pytest.approx(6)
    assert (norms.counted, norms.summed) == pytest.approx((18, 18))


def test_the_norms_are_those_worked_out_by_hand() -> None:
    # Demonstrations (1, 0) and (0, 2); value = 2 · identity, key = identity, query = [[3, 0], [0, 0]].
    # ΔW = 2 ((1, 0) ⊗ (1, 0) + (0, 2) ⊗ (0, 2)) query = [[2, 0], [0, 8]] · query = [[6, 0], [0, 0]].
    # a = (2 · 1 · 3, 4 · 2 · 3) = (6, 24): UB = 36 + 576 = 612, twice that is 1224, (6 + 24)² = 900.
    block = LinearBlock(query=matrix((3, 0), (0, 0)), key=ONE, value=2 * ONE)
    (norms,) = stack_norms([block], matrix((1, 0), (0, 2)))
    assert (norms.update, norms.gradient) == pytest.approx((6, 6))
    assert (norms.stated, norms.counted, norms.summed) == pytest.approx((612, 1224, 900))


@pytest.mark.parametrize("heads", [None, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_counted_and_the_summed_bound_are_upper_bounds(seed: int, heads: int | None) -> None:
    for norms in stack_norms(draw_blocks(seed, 6, 3, heads, mlp=True), draw_states(seed + 1, 6, 4)):
        assert norms.update**2 <= norms.summed <= norms.counted


def test_norms_of_later_blocks_are_of_their_own_inputs() -> None:
    # With the blocks of test_linear_stack.py: |ΔW_2|² = 4 + 9 and |G_2|² = 4 + 4 + 9 + 9. Demonstrations enter block 2
    # as (1, 2) and (1, 1), whose keys are (1, 0) each: UB = (5 · 1 + 2 · 1) · 2 = 14, more than 13.
    swap, first = matrix((0, 1), (1, 0)), matrix((1, 0), (0, 0))
    blocks = [
        LinearBlock(query=swap, key=ONE, value=matrix((1, 0), (0, 2))),
        LinearBlock(query=ONE, key=first, value=ONE),
    ]
    _, norms = stack_norms(blocks, ONE)
    assert norms.update**2 == pytest.approx(13)
    assert norms.gradient**2 == pytest.approx(26)
    assert norms.stated == pytest.approx(14)


def test_a_zero_matrix_has_norms_of_zero() -> None:
    block = LinearBlock(query=torch.zeros_like(ONE), key=ONE, value=ONE)
    (norms,) = stack_norms([block], ONE)
    assert (norms.update, norms.gradient, norms.stated, norms.summed) == (0, 0, 0, 0)
