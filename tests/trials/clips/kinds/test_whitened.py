import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factors import compute_factors
from clipsweep.trials.clips.kinds.whitened import Whitened, whiten
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from tests.trials.kinds_in_place import make_target
from tests.trials.models.test_card import CARD

SHAPE = Shape(6, 8, 1)


def whitened(options: str | None = None, clip_rate: float = 0.5) -> Clip:
    return Clip(layer=1, module="q", clip_rate=clip_rate, kind="whitened", options=options)


def drawn(seed: int, rows: int, cols: int) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(seed))


def output_error(weight: Tensor, made: Tensor, gram: Tensor, epsilon: float) -> float:
    """Squared, over the regularised inputs."""
    off = (weight - made).double()
    regular = gram + epsilon * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    return float(torch.trace(off @ regular @ off.T))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 99), rank=st.integers(1, 5), tokens=st.integers(1, 20))
def test_no_matrix_of_its_rank_has_nearer_outputs(seed: int, rank: int, tokens: int) -> None:
    weight, x = drawn(seed, 6, 8), drawn(seed + 1, 8, tokens).double()
    made = whiten(weight, x @ x.T, 0.1, "w").low_rank(rank)
    least = output_error(weight, made, x @ x.T, 0.1)
    plain = compute_factors(weight, "w").low_rank(rank)
    nudged = made + 1e-2 * drawn(seed + 2, 6, rank) @ compute_factors(made, "w").vh[:rank]  # still of that rank
    assert int(torch.linalg.matrix_rank(made, rtol=1e-4)) == rank
    assert least <= output_error(weight, plain, x @ x.T, 0.1) * (1 + 1e-5)
    assert least <= output_error(weight, nudged, x @ x.T, 0.1)


def test_inputs_alike_in_all_directions_give_the_plain_truncated_svd() -> None:
    weight = drawn(0, 6, 8)
    made = whiten(weight, 3.0 * torch.eye(8, dtype=torch.float64), 0.1, "w").low_rank(3)
    torch.testing.assert_close(made, compute_factors(weight, "w").low_rank(3))


def test_epsilon_rows_and_split_are_part_of_the_identity_and_demonstrations_have_no_rows() -> None:
    said = [
        Whitened().fingerprint(whitened(options), SHAPE)
        for options in (None, '{"epsilon": 1}', '{"split": "validation", "rows": 8}')
    ]
    assert said == [
        "3 epsilon 0.01 demonstrations",
        "3 epsilon 1.0 demonstrations",
        "3 epsilon 0.01 validation 8",
    ]


def test_at_full_rank_the_matrix_is_left_alone() -> None:
    assert resolve([whitened(clip_rate=0.0)], CARD) == resolve((), CARD)


@pytest.mark.parametrize(
    ("gram", "words"),
    [
        (torch.zeros(8, 8), "what 0 fc_in 0 reads is zero throughout; expected finite inputs"),
        (torch.full((8, 8), torch.nan), "what 0 fc_in 0 reads is not finite"),
    ],
)
def test_inputs_that_say_nothing_are_refused(gram: Tensor, words: str, tmp_path: Path) -> None:
    target = make_target(drawn(0, 6, 8), FactorCache(tmp_path), gram.double())
    with pytest.raises(EvaluationError, match=words):
        Whitened().apply(whitened(), target)


@pytest.mark.parametrize("epsilon", [1e-30, 5e-324, 1e308])
def test_an_epsilon_that_cannot_be_used_is_named(epsilon: float) -> None:
    x = 1e3 * drawn(1, 8, 2).double()  # 2 tokens: without epsilon the products are singular
    words = re.escape(f"what w reads cannot be whitened with epsilon {epsilon!r}, which is too small or too large")
    with pytest.raises(EvaluationError, match=f"{words}.* Set epsilon: 0.01"):
        whiten(drawn(0, 6, 8), x @ x.T, epsilon, "w")


def test_other_inputs_give_another_matrix_of_the_same_weight(tmp_path: Path) -> None:
    x, weight, cache = drawn(1, 8, 5).double(), drawn(0, 6, 8), FactorCache(tmp_path)
    epsilons = ('{"epsilon": 0.01}', '{"epsilon": 0.5}', '{"epsilon": 0.01}')
    first, other, again = (Whitened().apply(whitened(each), make_target(weight, cache, x @ x.T)) for each in epsilons)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
