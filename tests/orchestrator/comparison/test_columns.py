from clipsweep.orchestrator.comparison.columns import aligned, listed, section


def test_cells_stand_below_each_other() -> None:
    assert list(aligned([["a", "1", "x"], ["bb", "22", "yy"]], left=(0, 2))) == ["a    1  x", "bb  22  yy"]


def test_a_short_row_ends_where_its_cells_end() -> None:
    assert list(aligned([["a", "1"], ["b"]])) == ["a  1", "b"]


def test_lines_stand_behind_their_heading() -> None:
    assert section("cost", ["one", "two"]) == "cost      one\n          two"
    assert section("cost", []) == ""


def test_the_values_of_a_fact_fit_a_cell() -> None:
    assert listed(()) == "–"
    assert listed((0, 1, 2, 3)) == "0 to 3"
    assert listed((0, 5)) == "0, 5"
    assert listed((0.5, 0.95)) == "0.5, 0.95"
    assert listed(tuple(number / 10 for number in range(9))) == "9: 0 to 0.8"
