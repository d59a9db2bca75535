import pytest
from rich.table import Table

from clipsweep.orchestrator.commands.printing import print_table


def test_brackets_in_a_cell_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("error")
    table.add_row("no such file [/data/rows] [red]")
    print_table(table)
    assert "no such file [/data/rows] [red]" in capsys.readouterr().out
