"""How much of the norm in feature space is of one head, and of that head's longest key.

    python -m tests.benchmarks.theory_longest > tests/benchmarks/results/theory_longest.json

takes seconds. The shared folder's model is left out where it is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from clipsweep.trials.models.find import EMBEDDED_FOLDER
from tests.benchmarks.document import Line, print_document
from tests.benchmarks.theory_heads import embedded_texts, read_model, review_texts
from tests.conftest import REAL_MODEL


def shares(keys: Tensor, values: Tensor, output: Tensor, scale: float) -> dict[str, float]:
    """Of ``Σ_ij exp(s k_i·k_j) (O_h v_i)·(O_h v_j)``, the square of the norm that a trial measures in feature space.

    Args:
        keys: Shape ``(heads, tokens, size)``; their mean is taken off.
        values: Shape ``(heads, tokens, size)``.
        output: Shape ``(width, heads * size)``.
        scale: ``s``.

    Returns:
        In per cent, by what it is of. Terms off the diagonal may be negative, so that a share may be above 100.
    """
    heads, _, size = values.shape
    keys = (keys - keys.mean(1, keepdim=True)).double()
    written = values.double() @ output.double().view(len(output), heads, size).permute(1, 2, 0)
    logs = scale * keys @ keys.mT
    terms = (logs - logs.max()).exp() * (written @ written.mT)
    squares, diagonals = terms.sum((1, 2)), terms.diagonal(dim1=1, dim2=2)
    head = int(squares.argmax())
    longest = int(keys[head].square().sum(-1).argmax())
    found = {
        "of the square, the diagonal": diagonals.sum() / squares.sum(),
        "of the square, its largest head": squares[head] / squares.sum(),
        "of that head, its longest key": diagonals[head, longest] / squares[head],
    }
    return {what: 100 * float(share) for what, share in found.items()}


@torch.inference_mode()
def lines(name: str, folder: Path, text: str) -> Iterator[Line]:
    """All shares for each block of a GPT-J, over one prompt."""
    model, (prompt,) = read_model(folder, [text])
    cache = model(torch.tensor([prompt]), use_cache=True).past_key_values
    for number, (block, layer) in enumerate(zip(model.transformer.h, cache.layers, strict=True)):
        size = layer.keys.shape[-1]
        found = shares(layer.keys[0], layer.values[0], block.attn.out_proj.weight, size**-0.5)
        for what, share in found.items():
            yield Line(name=f"{name}, {len(prompt)} tokens, block {number}: {what}", value=share, unit="%")


def measure() -> list[Line]:
    """Every model that is there."""
    found = list(lines("embedded", EMBEDDED_FOLDER, embedded_texts(1)[0]))
    if REAL_MODEL.is_dir():
        found += lines("gptj-prompts-5m", REAL_MODEL, review_texts(1)[0])
    return found


if __name__ == "__main__":
    print_document(measure)
