import pytest

from clipsweep.analysis.winners.turned import Flips, find_turned
from tests.analysis.store.rows import stored_row


def test_what_became_right_and_what_became_wrong() -> None:
    row = stored_row(outcomes=(True, True, False, False, True))
    before = stored_row(outcomes=(True, False, False, True, False))
    turned = find_turned(row, before)
    assert (turned.gained, turned.lost, turned.n_examples) == ((1, 4), (3,), 5)
    gain = Flips(row=row, before=before, n_examples=5, n_rows=5, flips=()).gain
    assert gain.estimate == pytest.approx(0.2)
    assert gain.p_value == 1.0  # two against one: 2 * (C(3,0) + C(3,1)) / 2**3


def test_of_a_shorter_row_the_examples_that_both_have_seen_are_compared() -> None:
    turned = find_turned(stored_row(outcomes=(True, False)), stored_row(outcomes=(False, False, True, True)))
    assert (turned.gained, turned.lost, turned.n_examples) == ((0,), (), 2)
