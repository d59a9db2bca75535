import pytest
import torch

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.theory.clip_effect import Claim, ClipEffect, MatrixName, Statement, clip_effect, split_block
from clipsweep.trials.theory.linear_stack import LinearBlock
from tests.trials.theory.stacks import draw_blocks, draw_states, matrix

ONE = matrix((1, 0), (0, 1))


def said(effect: ClipEffect, claim: Claim, block: int) -> Statement:
    (statement,) = [each for each in effect.statements if (each.claim, each.block) == (claim, block)]
    return statement


def test_clipping_keys_can_enlarge_the_update() -> None:
    # One demonstration h = (1, 1), value = identity. key = diag(2, 1), query = [[1, 0], [-1.5, 0]].
    # key h = (2, 1); (key h)ᵀ query = (2 - 1.5, 0) = (0.5, 0), so |ΔW| = |h| · 0.5 = √2 / 2.
    # With key = diag(2, 0): (2, 0)ᵀ query = (2, 0), so |ΔW| = √2 · 2: four times as large. The cut part has (-1.5, 0):
    # √2 · 1.5, so that the sum of the parts is √2 · 3.5. UB falls all the same: 2 · 5 · 3.25 to 2 · 4 · 3.25.
    block = LinearBlock(query=matrix((1, 0), (-1.5, 0)), key=matrix((2, 0), (0, 1)), value=ONE)
    effect = clip_effect([block], matrix((1,), (1,)), 0, "key", 1)
    falls = said(effect, Claim.UPDATE_FALLS, 0)
    assert (falls.left, falls.right) == pytest.approx((2 * 2**0.5, 2**0.5 / 2))
    assert not falls.holds
    parts = said(effect, Claim.SUM_OF_PARTS, 0)
    assert parts.right == pytest.approx(3.5 * 2**0.5)
    assert parts.holds
    assert not said(effect, Claim.SQUARES_ADD_UP, 0).holds
    bound = said(effect, Claim.BOUND_FALLS, 0)
    assert (bound.left, bound.right) == pytest.approx((26, 32.5))
    assert bound.holds


def test_clipping_queries_can_enlarge_the_implicit_gradient() -> None:
    # One demonstration h = (1, 0), all identity in block 1 but its value, [[1, 0], [-1, 0]]: ΔW_1 = [[1, 0], [-1, 0]].
    # 1 + W_1 = [[2, 0], [-1, 1]]; h becomes (2, -1). Block 2: key = value = identity, query = diag(2, 1):
    # ΔW_2 = (2, -1) ⊗ (2, -1) query = (2, -1) ⊗ (4, -1), G_2 = (2, -1) ⊗ (4 · 2 + 1, -1) = (2, -1) ⊗ (9, -1).
    # query = diag(2, 0): ΔW_2 = (2, -1) ⊗ (4, 0), G_2 = (2, -1) ⊗ (8, 0): falls. With query = [[2, 0], [0, -1]]:
    # ΔW_2 = (2, -1) ⊗ (4, 1), of norm √5 · √17, and G_2 = (2, -1) ⊗ (8 - 1, 1), of norm √5 · √50;
    # clipped again (4, 0) and (8, 0): √5 · 4 is less, √5 · 8 is more.
    blocks = [
        LinearBlock(query=ONE, key=ONE, value=matrix((1, 0), (-1, 0))),
        LinearBlock(query=matrix((2, 0), (0, -1)), key=ONE, value=ONE),
    ]
    effect = clip_effect(blocks, matrix((1,), (0,)), 1, "query", 1)
    update, gradient = said(effect, Claim.UPDATE_FALLS, 1), said(effect, Claim.GRADIENT_FALLS, 1)
    assert (update.left, update.right) == pytest.approx((80**0.5, 85**0.5))
    assert update.holds
    assert (gradient.left, gradient.right) == pytest.approx((320**0.5, 250**0.5))
    assert not gradient.holds


@pytest.mark.parametrize(
    ("name", "mlp", "heads"),
    [
        ("query", False, None),
        ("query", True, 2),
        ("value", False, None),
        ("mlp", True, None),
        ("mlp", True, 2),
    ],
)
def test_squares_of_the_parts_add_up_for_the_outermost_matrices(name: MatrixName, mlp: bool, heads: int | None) -> None:
    for seed in range(5):
        effect = clip_effect(draw_blocks(seed, 6, 3, heads, mlp), draw_states(seed + 1, 6, 4), 1, name, 2)
        assert said(effect, Claim.SQUARES_ADD_UP, 1).holds
        assert said(effect, Claim.UPDATE_FALLS, 1).holds


@pytest.mark.parametrize("name", ["query", "key", "value", "mlp"])
def test_what_is_true_of_all_vectors_holds_for_every_matrix(name: MatrixName) -> None:
    for seed in range(5):
        effect = clip_effect(draw_blocks(seed, 6, 3, mlp=True), draw_states(seed + 1, 6, 4), 1, name, 2)
        assert said(effect, Claim.SUM_OF_PARTS, 1).holds
        assert said(effect, Claim.TOKENS_SPLIT, 1).holds


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_the_bound_as_written_falls_whatever_is_clipped(name: MatrixName) -> None:
    for seed in range(5):
        effect = clip_effect(draw_blocks(seed, 6, 3), draw_states(seed + 1, 6, 4), 1, name, 2)
        assert said(effect, Claim.BOUND_FALLS, 1).holds


@pytest.mark.parametrize("block", range(4))
def test_a_clip_changes_the_updates_of_its_own_block_and_of_all_deeper_ones(block: int) -> None:
    effect = clip_effect(draw_blocks(1, 6, 4), draw_states(2, 6, 4), block, "key", 2)
    changed = [new.update != old.update for old, new in zip(effect.before, effect.after, strict=True)]
    assert changed == [t >= block for t in range(4)]
    later = [each.block for each in effect.statements if each.claim == Claim.LATER_UPDATE_FALLS]
    assert later == list(range(block + 1, 4))


@pytest.mark.parametrize("name", ["query", "key", "value", "mlp"])
def test_the_parts_of_several_heads_are_cut_from_one_matrix(name: MatrixName) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 6, dtype=torch.float64, generator=generator) for _ in range(3))
    mlp = torch.randn(2, 6, 3, dtype=torch.float64, generator=generator)
    block = LinearBlock(query=query, key=key, value=value, mlp=mlp)
    parts = split_block(block, name, 2)
    kept, cut = getattr(parts.kept, name), getattr(parts.cut, name)
    torch.testing.assert_close(kept + cut, getattr(block, name))
    joined = torch.cat(list(kept), dim=1 if name == "mlp" else 0)
    assert int(torch.linalg.matrix_rank(joined.float())) == 2


def test_a_clip_that_cannot_be_is_refused() -> None:
    blocks, demonstrations = draw_blocks(1, 6, 2), draw_states(2, 6, 4)
    with pytest.raises(SpecError, match="there is no block 2; expected 0 to 1"):
        clip_effect(blocks, demonstrations, 2, "key", 1)
    with pytest.raises(SpecError, match="the block has no matrix 'mlp'"):
        clip_effect(blocks, demonstrations, 0, "mlp", 1)
    with pytest.raises(SpecError, match="no matrix 'keys'; known: key, mlp, query, value. Did you mean 'key'?"):
        clip_effect(blocks, demonstrations, 0, "keys", 1)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"rank 7 is asked for of a key of shape \(6, 6\); expected 1 to 6"):
        clip_effect(blocks, demonstrations, 0, "key", 7)


@pytest.mark.parametrize(
    ("claim", "left", "right", "holds"),
    [
        (Claim.UPDATE_FALLS, 1.0, 2.0, True),
        (Claim.UPDATE_FALLS, 2.0, 1.0, False),
        (Claim.UPDATE_FALLS, 1.000001, 1.0, True),  # rounding of a float32 SVD
        (Claim.UPDATE_FALLS, 1.0001, 1.0, False),
        (Claim.UPDATE_FALLS, 0.0, 0.0, True),
        (Claim.SQUARES_ADD_UP, 1.0, 1.000001, True),
        (Claim.SQUARES_ADD_UP, 1.0, 1.0001, False),
        (Claim.SQUARES_ADD_UP, 1.0001, 1.0, False),
    ],
)
def test_a_statement_holds_up_to_rounding(claim: Claim, left: float, right: float, holds: bool) -> None:
    assert Statement(claim=claim, block=0, left=left, right=right).holds is holds
