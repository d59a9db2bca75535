import pytest
from scipy import stats

from clipsweep.analysis.winners.interval import accuracy_interval


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (81, 263), (1, 1)])
def test_the_interval_is_that_of_scipy(right: int, count: int) -> None:
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert accuracy_interval(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_published_example() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", Table I: 81 of 263, method 3
    assert accuracy_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
