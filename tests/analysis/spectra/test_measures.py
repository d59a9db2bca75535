import math

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsweep.analysis.spectra.measures import (
    Edge,
    effective_rank,
    entry_edge,
    iqr_edge,
    measure,
    split_at,
    stable_rank,
)


def noise(rows: int, cols: int, std: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, std, (rows, cols))


def values_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.svd(matrix, compute_uv=False), dtype=np.float64)


def test_equal_singular_values_count_in_full_by_either_rank() -> None:
    assert effective_rank([5.0, 5.0, 5.0, 0.0]) == pytest.approx(3)
    assert stable_rank([5.0, 5.0, 5.0, 0.0]) == 3


def test_unequal_singular_values_count_less() -> None:
    # Shares 1/2, 1/4, 1/4 have the entropy 1.5 ln 2; squares over the largest are 1, 1/4, 1/4.
    assert effective_rank([4.0, 2.0, 2.0]) == pytest.approx(2**1.5)
    assert stable_rank([4.0, 2.0, 2.0]) == 1.5


def test_a_zero_matrix_has_rank_0() -> None:
    assert (effective_rank([0.0, 0.0]), stable_rank([0.0, 0.0])) == (0, 0)


def test_ranks_do_not_depend_on_the_scale() -> None:
    tiny = [4e-30, 2e-30, 2e-30]
    assert effective_rank(tiny) == pytest.approx(2**1.5)
    assert stable_rank(tiny) == pytest.approx(1.5)


def test_the_iqr_edge_of_a_diagonal_matrix_is_solved_by_hand() -> None:
    # Quartiles of 1, 2, 3, 4, 5 are 2 and 4; beta is 5/20, whose root is 1/2.
    assert iqr_edge([5.0, 4.0, 3.0, 2.0, 1.0], 5, 20) == pytest.approx(2 / 1.349 * 1.5)
    assert iqr_edge([5.0, 4.0, 3.0, 2.0, 1.0], 20, 5) == pytest.approx(2 / 1.349 * 1.5)


def test_equal_singular_values_have_no_spread_and_all_lie_above_the_iqr_edge() -> None:
    assert measure([3.0, 3.0], 2, 2).iqr_edge == Edge(value=0.0, above=2, snr=math.inf)


def test_the_signal_to_noise_ratio_is_the_sum_above_over_the_sum_below() -> None:
    assert split_at([6.0, 3.0, 2.0, 1.0], 2.0) == Edge(value=2.0, above=2, snr=3.0)


def test_the_entry_edge_is_where_the_largest_singular_value_of_noise_lies() -> None:
    matrix = noise(200, 450, std=0.02)
    assert entry_edge(0.02, 200, 450) == pytest.approx(values_of(matrix)[0], rel=0.03)


def test_low_rank_plus_noise_stands_out_of_the_entry_edge_by_its_rank() -> None:
    left, right = np.linalg.qr(noise(300, 3))[0], np.linalg.qr(noise(400, 3))[0]
    matrix = noise(300, 400, std=0.1) + left @ np.diag([40.0, 30.0, 20.0]) @ right.T
    edge = measure(values_of(matrix), 300, 400, float(matrix.std())).entry_edge
    assert edge is not None
    assert edge.above == 3


def test_the_iqr_edge_is_no_noise_level() -> None:
    square, wide = measure(values_of(noise(300, 300)), 300, 300), measure(values_of(noise(100, 400)), 100, 400)
    assert square.iqr_edge.above / 300 == pytest.approx(0.24, abs=0.02)  # of noise alone
    assert wide.iqr_edge == Edge(value=wide.iqr_edge.value, above=100, snr=math.inf)


def test_the_entry_edge_is_unknown_without_the_entries() -> None:
    assert measure([2.0, 1.0], 2, 2).entry_edge is None
