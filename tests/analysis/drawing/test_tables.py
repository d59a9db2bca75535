import csv
import math

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.drawing.tables import as_csv, as_latex, as_markdown

TABLE = Table(
    name="tables",
    title="Test scores",
    caption="5 % of rows.",
    columns=("task", "baseline", "p_value"),
    rows=[("sst2 | a_b", 0.123456, 3), ("<rte>", math.nan, None)],
)


def test_csv_has_numbers_in_full_and_empty_cells() -> None:
    lines = list(csv.reader(as_csv(TABLE).splitlines()))
    assert lines[1:] == [["sst2 | a_b", "0.123456", "3"], ["<rte>", "nan", ""]]


def test_markdown_sets_numbers_right_and_escapes_what_would_end_a_cell() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert lines[3] == "| --- | ---: | ---: |"
    assert lines[4:6] == [r"| sst2 \| a_b | 0.1235 | 3 |", "| &lt;rte> |  |  |"]
    assert lines[-1] == "5 % of rows."


def test_latex_is_a_table_with_caption_and_label_in_which_nothing_is_a_command() -> None:
    text = as_latex(TABLE)
    assert r"\caption{Test scores. 5 \% of rows.}" in text
    assert r"\label{tab:tables}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"sst2 | a\_b & 0.1235 & 3 \\" in text
    assert r"task & baseline & p\_value \\" in text
