import pytest
import torch

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.theory.linear_stack import LinearBlock, implicit_updates, run_stack, trajectory
from tests.trials.theory.stacks import draw_blocks, draw_states, matrix

# Two demonstrations (1, 0) and (0, 1), as columns: H is the identity.
# Block 1: value = [[1, 0], [0, 2]], key = identity, query = [[0, 1], [1, 0]].
#   ΔW_1 = V H (K H)ᵀ Q = [[1, 0], [0, 2]] · [[0, 1], [1, 0]] = [[0, 1], [2, 0]].
#   Demonstrations after it: H + ΔW_1 H = [[1, 1], [2, 1]].
# Block 2: value = identity, key = [[1, 0], [0, 0]], query = identity.
#   K H = [[1, 1], [0, 0]], so ΔW_2 = H (K H)ᵀ = [[1, 1], [2, 1]] · [[1, 0], [1, 0]] = [[2, 0], [3, 0]].
#   G_2 = ΔW_2 (1 + W_1) = [[2, 0], [3, 0]] · [[1, 1], [2, 1]] = [[2, 2], [3, 3]].
#   W_2 = [[0, 1], [2, 0]] + [[2, 2], [3, 3]] = [[2, 3], [5, 3]].
# The query (1, -1) leaves as (1, -1) + W_2 (1, -1) = (1, -1) + (-1, 2) = (0, 1).
ONE, TWO = matrix((1, 0), (0, 1)), matrix((1, 0), (0, 2))
SWAP, FIRST = matrix((0, 1), (1, 0)), matrix((1, 0), (0, 0))
BLOCKS = [LinearBlock(query=SWAP, key=ONE, value=TWO), LinearBlock(query=ONE, key=FIRST, value=ONE)]
QUERY = matrix((1,), (-1,))


def relative_error(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def test_two_blocks_give_the_updates_worked_out_by_hand() -> None:
    first, second = trajectory(implicit_updates(BLOCKS, ONE))
    assert first.update.tolist() == first.gradient.tolist() == first.total.tolist() == [[0, 1], [2, 0]]
    assert second.update.tolist() == [[2, 0], [3, 0]]
    assert second.gradient.tolist() == [[2, 2], [3, 3]]
    assert second.total.tolist() == [[2, 3], [5, 3]]


def test_a_forward_pass_gives_the_states_worked_out_by_hand() -> None:
    _, middle, last = run_stack(BLOCKS, ONE, QUERY)
    assert middle[:, :2].tolist() == [[1, 1], [2, 1]]
    assert last[:, 2].tolist() == [0, 1]


def test_an_mlp_as_a_matrix_stands_before_the_value() -> None:
    # One demonstration (1, 2), mlp = [[0, 1], [1, 0]]: mlp V h = (4, 1), K h = (1, 2), so
    # ΔW = (4, 1) ⊗ (1, 2) Q = [[4, 8], [1, 2]] · [[0, 1], [1, 0]] = [[8, 4], [2, 1]].
    block = LinearBlock(query=SWAP, key=ONE, value=TWO, mlp=SWAP)
    assert block.update(matrix((1,), (2,))).tolist() == [[8, 4], [2, 1]]


@pytest.mark.parametrize("heads", [None, 1, 3])
@pytest.mark.parametrize("mlp", [False, True])
def test_a_query_passes_through_a_stack_as_through_its_implicit_weights(heads: int | None, mlp: bool) -> None:
    blocks, demonstrations, query = draw_blocks(1, 8, 4, heads, mlp), draw_states(2, 8, 5), draw_states(3, 8, 1)
    states = run_stack(blocks, demonstrations, query)
    for step, before, after in zip(
        trajectory(implicit_updates(blocks, demonstrations)), states[:-1], states[1:], strict=True
    ):
        assert relative_error(before[:, 5:] + step.update @ before[:, 5:], after[:, 5:]) <= 1e-12  # Lemma 1
        assert relative_error(query + step.total @ query, after[:, 5:]) <= 1e-12  # Theorem 1


def test_demonstration_sets_beside_each_other_give_what_each_gives_alone() -> None:
    blocks, sets = draw_blocks(1, 6, 3, heads=2), torch.stack([draw_states(seed, 6, 4) for seed in (2, 3)])
    together = implicit_updates(blocks, sets)
    alone = [implicit_updates(blocks, each) for each in sets]
    for block, updates in enumerate(together):
        torch.testing.assert_close(updates, torch.stack([each[block] for each in alone]), rtol=1e-12, atol=0)


def test_the_rank_of_an_update_is_at_most_the_number_of_demonstrations() -> None:
    ranks = [
        int(torch.linalg.matrix_rank(update)) for update in implicit_updates(draw_blocks(1, 8, 3), draw_states(2, 8, 3))
    ]
    assert ranks == [3, 3, 3]


def test_the_rank_of_an_update_by_several_heads_is_at_most_their_number_times_the_demonstrations() -> None:
    blocks, demonstrations = draw_blocks(1, 8, 3, heads=2), draw_states(2, 8, 3)
    assert [int(torch.linalg.matrix_rank(update)) for update in implicit_updates(blocks, demonstrations)] == [6, 6, 6]


def test_demonstrations_that_depend_on_each_other_lower_the_rank() -> None:
    twice = draw_states(2, 8, 1).expand(8, 3)
    assert int(torch.linalg.matrix_rank(draw_blocks(1, 8, 1)[0].update(twice))) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query": ONE.float()}, "query is torch.float32"),
        ({"key": matrix((1, 0))}, r"key is torch.float64 of shape \(1, 2\); expected torch.float64 of shape \(2, 2\)"),
        ({"value": matrix((1, 0))}, "value is"),
        ({"mlp": matrix((1, 0))}, "mlp is"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(changed: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        LinearBlock(**({"query": ONE, "key": ONE, "value": ONE} | changed))


def test_states_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpecError, match=r"shape \(3, 1\), and the blocks' widths are \[2\]"):
        implicit_updates(BLOCKS, matrix((1,), (2,), (3,)))
    with pytest.raises(SpecError, match=r"are torch.float32"):
        run_stack(BLOCKS, ONE, QUERY.float())
