from clipsweep.analysis.figures.regression.table import clips_table
from tests.analysis.figures.regression.numbers import make_numbers


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
