from clipsweep.analysis.figures.regression.table import clips_table, errors_table
from tests.analysis.figures.regression.numbers import make_numbers


def test_errors_have_a_line_for_least_squares_and_one_for_each_checkpoint() -> None:
    table = errors_table(make_numbers())
    assert table.columns == ("examples", "0", "1", "2")
    assert [[*row] for row in table.rows] == [
        ["least squares", "1.000", "0.500", "0.000"],
        ["1,000 steps", "1.000", "0.900", "0.800"],
        ["5,000 steps", "1.000", "0.600", "0.200"],
    ]


def test_a_clipped_checkpoint_has_a_line_at_few_and_one_at_many_examples() -> None:
    table = clips_table(make_numbers())
    assert table is not None
    few, many = table.rows
    assert [*few] == [1000, "fewer than d examples", 0.9, "q of block 0 at 0.5", "-0.0500", "0.0100", 1, 1, 4]
    assert [*many] == [1000, "d examples or more", 0.8, "v of block 0 at 0.5", "-0.1000", "0.0100", 1, 3, 4]


def test_a_change_counts_only_where_both_sets_of_prompts_have_it() -> None:
    numbers = make_numbers()
    numbers["checkpoints"][0]["clips"][0]["choose"]["few"]["mean"] = -0.019  # less than two standard errors
    table = clips_table(numbers)
    assert table is not None
    assert table.rows[0][6] == 0


def test_a_run_without_clips_has_no_table() -> None:
    numbers = make_numbers()
    del numbers["checkpoints"][0]
    assert clips_table(numbers) is None
