from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.spec.ladder import make_rungs


@given(st.integers(100, 20_000))
def test_rungs_ascend_to_all_rows(n_rows: int) -> None:
    rungs = make_rungs(n_rows)
    assert list(rungs) == sorted(set(rungs))
    assert rungs[-1] == n_rows
    assert rungs[0] == 16 or n_rows / 32 <= rungs[0] < n_rows / 32 + 1
    assert rungs[0] >= 16


@given(st.integers(1, 16))
def test_a_split_of_few_rows_is_not_cut(n_rows: int) -> None:
    assert make_rungs(n_rows) == (n_rows,)
