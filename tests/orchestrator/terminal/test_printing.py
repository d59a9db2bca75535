import pytest
from rich.table import Table

from clipsweep.analysis.row.row import clip_record
from clipsweep.orchestrator.terminal.printing import print_expectation, print_rows_markdown, print_table
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


def test_an_expectation_is_told_as_one_with_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    budget = {
        "n_trials": 1200,
        "rows": 34_000,
        "hours": 2.5,
        "share_of_gain": {"median": 0.97, "lowest": 0.5},
        "share_of_gain_unlucky": {"median": 0.66, "lowest": -0.1},
        "replayed": False,
    }
    print_expectation({"surfaces": ["one", "other"], "budgets": [budget], "unlike": ["it has 3 numbers of shots"]})
    lines = capsys.readouterr().out.splitlines()
    assert "an expectation, from 2 small surfaces of small models; yours may differ" in lines[1]
    assert " │ ".join(("1,200 *", "34,000", "2:30:00", "0.97", "0.66", "0.50", "-0.10")) in " ".join(lines[5].split())
    assert lines[-2:] == [
        "note        * more than was replayed: told as for the most that was",
        "note        it has 3 numbers of shots",
    ]


def test_a_search_that_was_not_replayed_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    print_expectation({"surfaces": [], "budgets": [], "unlike": []})
    assert capsys.readouterr().out == "expected    not known: no search of this kind was replayed\n"
