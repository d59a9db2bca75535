"""The norm of the implicit update of softmax attention, in the feature space of its kernel, which is never entered."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from clipsweep.trials.theory import attention

TOKENS_AT_ONCE = 128  # rows of the kernel's matrix; measured: more are slower on a CPU, as they leave its cache


def log_norm_of_softmax(keys: Tensor, values: Tensor, products: Tensor, scale: float) -> Tensor:
    """Natural log of the norm of ``Σ_i O_h v_i ⊗ φ(k_i)``, over all heads ``h`` together.

    Softmax attention weighs values by ``exp(s q·k) = φ(q)·φ(k)``, with features ``φ`` of infinitely many entries. Of
    the norm of the sum nothing but products is left,

        ‖Σ_i O_h v_i ⊗ φ(k_i)‖² = Σ_ij exp(s k_i·k_j) (O_h v_i)·(O_h v_j),

    and each head has a feature space of its own, so that squares add up over heads. The products of outputs go through
    ``O_hᵀ O_h``, a matrix of the size of a head, summed over the heads that share keys and values.

    The softmax stays the same when all keys of a head move by one vector, while this norm does not; so keys are taken
    less their mean over the tokens. Left out are the normaliser, which depends on the query, and what some models do to
    the scores besides: windows, capping, and biases of positions. A query's matrix is not in it.

    The longest keys decide it. The terms ``i = j`` grow with ``exp(s ‖k_i - k̄‖²)`` and drown the others: few tokens,
    often one, make most of the norm, and it tells little of the rest. Over one prompt, one head has 57 to 100 % of the
    square in each block of the embedded model, and its longest key alone 56 to 100 % of that
    (``tests/benchmarks/theory_longest.py``).

    Args:
        keys: Shape ``(groups, tokens, key_size)``, as the attention reads them: turned by their positions, normed.
        values: Shape ``(groups, tokens, value_size)``.
        products: Of the output matrices of the heads that share keys and values, as of ``output_products``.
        scale: ``s``.

    Returns:
        A float64 scalar; minus infinity of zero. The largest exponent is taken out of the sums, so none overflows.

    Source:
        Yao et al. (2024), arXiv 2406.03768, appendix A.2.
    """
    keys, values = keys.float(), values.float()
    keys = (keys - keys.mean(dim=1, keepdim=True)) * scale**0.5
    largest = keys.square().sum(dim=2).amax(dim=1)  # of all k_i·k_j one with i = j is the largest
    shift = largest[:, None, None].expand(-1, keys.shape[1], 1)  # one more entry of each key takes it off: no pass more
    left, right = torch.cat([keys, torch.ones_like(shift)], dim=2), torch.cat([keys, -shift], dim=2)
    weighted = values @ products
    halves = torch.zeros(len(keys), dtype=torch.float64, device=keys.device)
    tokens = keys.shape[1]
    step = math.ceil(tokens / math.ceil(tokens / TOKENS_AT_ONCE))
    for first in range(0, tokens, step):  # all is symmetric: pairs within these rows count half, later tokens in full
        rows = slice(first, first + step)
        kernel = (left[:, rows] @ right[:, first:].transpose(1, 2)).exp_()
        kernel[:, :, :step] /= 2
        halves += (weighted[:, rows] * (kernel @ values[:, first:])).sum(dim=2).double().sum(dim=1)
    totals = 2 * halves.clamp(min=0)
    return torch.logsumexp(largest.double() + totals.log(), dim=0) / 2


def output_products(output: Tensor, groups: int, size: int) -> Tensor:
    """``Σ_h O_hᵀ O_h`` over the heads ``h`` of each group, some groups at a time.

    Args:
        output: Shape ``(width, heads * size)``, floating point, ``heads`` a multiple of ``groups``.
        groups: Heads of keys and values.
        size: Entries of a value of one head.

    Returns:
        Shape ``(groups, size, size)``, float32.
    """
    of_groups = output.view(len(output), groups, -1, size).permute(1, 0, 2, 3)
    step = max(1, attention.ENTRIES_AT_ONCE // of_groups[0].numel())
    products = []
    for first in range(0, groups, step):
        some = of_groups[first : first + step].float().reshape(-1, of_groups[0].numel() // size, size)
        products.append(some.transpose(1, 2) @ some)
    return torch.cat(products)
