from hypothesis import given
from hypothesis import strategies as st

from clipsweep.analysis.row.packing import pack_margins, pack_outcomes, unpack_margins, unpack_outcomes


@given(st.lists(st.booleans(), max_size=70))
def test_outcomes_come_back_bit_by_bit(outcomes: list[bool]) -> None:
    assert unpack_outcomes(pack_outcomes(outcomes), len(outcomes)).tolist() == outcomes


@given(st.lists(st.floats(-6e4, 6e4, width=16)))
def test_margins_come_back_in_half_precision(margins: list[float]) -> None:
    assert unpack_margins(pack_margins(margins)).tolist() == margins


def test_margins_beyond_half_precision_stay_finite() -> None:
    assert unpack_margins(pack_margins([1e6, -1e6])).tolist() == [65504, -65504]
