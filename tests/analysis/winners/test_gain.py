import numpy as np
import pytest
from scipy import stats

from clipsweep.analysis.winners.gain import Paired, gain_of, measure_gain
from tests.analysis.store.rows import stored_row


def test_the_gain_of_a_worked_example() -> None:
    # 20 examples: 6 gained, 1 lost; the exact McNemar p is 2 * (C(7,0) + C(7,1)) / 2**7 = 0.125
    ours = (True,) * 6 + (False,) + (True,) * 13
    theirs = (False,) * 6 + (True,) + (True,) * 13
    gain = measure_gain([stored_row(outcomes=ours)], [stored_row(outcomes=theirs)])
    assert gain.estimate == pytest.approx(0.25)
    assert gain.p_value == pytest.approx(0.125)
    assert -0.05 <= gain.low < 0.25 < gain.high <= 0.55


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(60):
        theirs = rng.random(200) < 0.7
        ours = np.where(rng.random(200) < 0.1, True, theirs)  # the true gain is 0.1 * 0.3
        gain = measure_gain([stored_row(outcomes=tuple(ours))], [stored_row(outcomes=tuple(theirs))])
        covered += gain.low <= 0.03 <= gain.high
    assert covered >= 51  # 57 expected; 51 or fewer has probability 0.02 at 95 %


def test_interval_and_p_value_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    ours, theirs = rng.random(300) < 0.7, rng.random(300) < 0.6
    gain = measure_gain([stored_row(outcomes=tuple(ours))], [stored_row(outcomes=tuple(theirs))])
    differences = ours.astype(float) - theirs
    expected = stats.bootstrap((differences,), np.mean, method="percentile", rng=np.random.default_rng(0))
    assert [gain.low, gain.high] == pytest.approx([*expected.confidence_interval], abs=1e-12)
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    assert gain.p_value == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, rel=1e-9)


def test_as_many_gained_as_lost_is_no_evidence() -> None:
    ours, theirs = (True,) * 3 + (False,) * 3, (False,) * 3 + (True,) * 3
    assert measure_gain([stored_row(outcomes=ours)], [stored_row(outcomes=theirs)]).p_value == 1.0


def test_examples_weigh_as_much_as_they_say() -> None:
    gain = gain_of([Paired(differences=np.array([1.0, 0.0]), weights=np.array([1.0, 3.0]))], "test")
    assert gain.estimate == 0.25
    assert 0 <= gain.low <= 0.25 <= gain.high <= 1


def test_tasks_count_by_their_share_and_are_resampled_among_themselves() -> None:
    first, second = np.array([1.0] * 30), np.array([0.0] * 500)
    gain = gain_of([Paired(differences=first, share=0.75), Paired(differences=second, share=0.25)], "test")
    assert (gain.estimate, gain.low, gain.high) == (0.75, 0.75, 0.75)  # no example of the one stands for the other
