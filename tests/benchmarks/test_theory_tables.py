"""The page of the theory shows what the benchmark measured."""

from tests.benchmarks.theory_tables import tables
from tests.documents import DOCS


def test_the_page_shows_the_tables_of_the_stored_figures() -> None:
    page = (DOCS / "theory.md").read_text(encoding="utf-8")
    assert [table for table in tables() if table not in page] == []
