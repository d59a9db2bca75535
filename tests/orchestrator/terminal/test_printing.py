import pytest
from rich.table import Table

from clipsweep.analysis.row.row import clip_record
from clipsweep.orchestrator.terminal.printing import print_rows_markdown, print_table
from clipsweep.trials.spec.clip import Clip
from tests.analysis.store.rows import changed, stored_row


def test_brackets_in_a_cell_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("error")
    table.add_row("no such file [/data/rows] [red]")
    print_table(table)
    assert "no such file [/data/rows] [red]" in capsys.readouterr().out


def test_a_range_of_layers_is_one_line_of_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    clips = [clip_record(Clip(layer=layer, module="mlp", clip_rate=0.9)) for layer in range(20, 28)]
    print_rows_markdown([changed(stored_row(), clips=clips, layer=None, module=None, clip_rate=None)])
    assert "| mlp | 20-27 | 0.9 |" in capsys.readouterr().out
