import numpy as np
import pytest

from clipsweep.analysis.compare.difference import Difference, measure_difference
from clipsweep.analysis.winners.gain import measure_gain
from tests.analysis.store.rows import stored_row


def outcomes(right: int, of: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return (np.arange(of) < right).astype(float)


def test_on_the_same_rows_it_is_the_paired_gain() -> None:
    first, second = [stored_row(outcomes=(True, False) * 5)], [stored_row(outcomes=(True,) * 8 + (False,) * 2)]
    found, gain = measure_difference(first, second, same_rows=True), measure_gain(second, first)
    assert (found.estimate, found.interval, found.p_value) == (gain.estimate, (gain.low, gain.high), gain.p_value)
    assert found.paired


def test_on_other_rows_the_interval_is_newcombes() -> None:
    """Newcombe (1998), table II, case (a): 56 of 70 less 48 of 80 is 0.2000, by method 10 from 0.0524 to 0.3339."""
    found = Difference(first=outcomes(48, 80), second=outcomes(56, 70), paired=False, split="test")
    assert found.estimate == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.p_value is None


def test_rows_that_are_not_the_same_are_not_paired_even_when_they_are_as_many() -> None:
    rows = [stored_row(outcomes=(True, False))]
    assert not measure_difference(rows, rows, same_rows=False).paired
    assert not measure_difference(rows, [stored_row(outcomes=(True, False, True))], same_rows=True).paired


def test_the_standard_error_of_unpaired_rows_is_larger() -> None:
    half = outcomes(5, 10)
    paired, apart = (Difference(first=half, second=half, paired=paired, split="test") for paired in (True, False))
    assert (paired.standard_error, paired.weight) == (0.0, 0.0)
    assert apart.standard_error == pytest.approx(np.sqrt(2 * half.var(ddof=1) / 10))


def test_a_difference_that_every_example_shares_weighs_most() -> None:
    assert Difference(first=outcomes(0, 3), second=outcomes(3, 3), paired=True, split="test").weight == np.inf


def test_an_interval_that_was_not_asked_for_is_null() -> None:
    found = Difference(first=outcomes(4, 10), second=outcomes(6, 10), paired=True, split="test")
    assert found.document(with_interval=False)["low"] is None
    assert found.document(with_interval=True)["low"] <= found.estimate
