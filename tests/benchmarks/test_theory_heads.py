"""Heads of real models as blocks of linear attention."""

import pytest
import torch

from tests.benchmarks.theory_heads import TOKENS, Attention, embedded_attention


@pytest.fixture(scope="module")
def attention() -> Attention:
    return embedded_attention(1)


def test_what_enters_a_block_has_been_normed(attention: Attention) -> None:
    assert [hidden.shape for hidden in attention.hidden[0]] == [(128, TOKENS)] * 6
    assert len({float(hidden.norm()) for hidden in attention.hidden[0]}) == 6


def test_all_heads_of_a_block_give_what_its_own_matrices_give(attention: Attention) -> None:
    # Queries, keys and values of all heads in one, as the model has them; each head's scores are of its own 32 of 128.
    hidden, block = attention.hidden[0][2], attention.all_heads(2)
    queries, keys, values = (part.flatten(0, 1) @ hidden for part in (block.query, block.key, block.value))
    heads = [slice(32 * head, 32 * head + 32) for head in range(4)]
    read = torch.cat([values[head] @ (keys[head].T @ queries[head]) for head in heads])
    whole_output = torch.cat(list(attention.output[2]), dim=1)
    torch.testing.assert_close(block.attend(hidden, TOKENS), hidden + whole_output @ read)


def test_the_heads_of_a_block_add_up_in_either_form(attention: Attention) -> None:
    hidden = attention.hidden[0][1]
    whole = attention.all_heads(1).update(hidden)
    for form in (attention.paper_head, attention.whole_head):
        torch.testing.assert_close(sum(form(1, head).update(hidden) for head in range(4)), whole)
