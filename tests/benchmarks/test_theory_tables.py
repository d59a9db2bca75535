"""The page of the theory shows what the benchmark measured."""

import json

import pytest

from tests.benchmarks.theory_tables import STATEMENTS, tables
from tests.documents import DOCS


def test_the_page_shows_the_tables_of_the_stored_figures() -> None:
    page = (DOCS / "theory.md").read_text(encoding="utf-8")
    assert [table for table in tables() if table not in page] == []


@pytest.mark.parametrize(
    ("block", "matrices", "of_each_rank"),
    [
        (0, "query key", [[4, 13, 16], [7, 15, 16], [9, 16, 16]]),
        (0, "value", [[4, 16, 16], [7, 16, 16], [9, 16, 16]]),
        (1, "query key", [[10, 16, 16]] * 3),
        (1, "value", [[10, 4, 16], [10, 8, 16], [10, 12, 16]]),
        (2, "query key", [[10, 16, 16]] * 3),
        (2, "value", [[10, 16, 4], [10, 16, 8], [10, 16, 12]]),
    ],
)
def test_clips_lower_the_ranks_that_the_page_names(block: int, matrices: str, of_each_rank: list[list[int]]) -> None:
    clips = json.loads(STATEMENTS.read_text(encoding="utf-8"))["bound"]["clips"]
    found = [each for each in clips if each["block"] == block and each["matrix"] in matrices.split()]
    assert len(found) in {12, 24}  # four stacks, three ranks
    assert [each["rank_of_covariances"] for each in found] == [of_each_rank[each["rank"] - 1] for each in found]
