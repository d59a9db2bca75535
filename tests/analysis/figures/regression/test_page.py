"""The page of the theory says what the file of numbers holds."""

from clipsweep.analysis.drawing.tables import as_markdown
from clipsweep.analysis.figures.regression.draw import read_numbers
from clipsweep.analysis.figures.regression.table import clips_table, errors_table
from tests.documents import DOCS, text_of

NUMBERS = read_numbers(DOCS / "theory" / "figure5.json")


def test_the_tables_of_the_page_are_those_of_the_numbers() -> None:
    shown = text_of("Figure 5: linear regression in context")
    clips = clips_table(NUMBERS)
    assert clips is not None
    rows = [line for table in (errors_table(NUMBERS), clips) for line in as_markdown(table).splitlines() if "|" in line]
    assert [row for row in rows if row not in shown] == []


def test_the_numbers_are_of_the_small_size_and_of_clips_at_an_early_and_the_last_checkpoint() -> None:
    clipped = [found["step"] for found in NUMBERS["checkpoints"] if found["clips"]]
    assert (NUMBERS["size"], NUMBERS["seed"]) == ("small", 0)
    assert clipped == NUMBERS["settings"]["clipped_steps"]
    assert clipped[-1] == NUMBERS["checkpoints"][-1]["step"] > clipped[0]
