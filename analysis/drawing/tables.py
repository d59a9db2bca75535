"""A table as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from clipsweep.analysis.drawing.chart import Table

Cell = str | float | int | None
_IN_LATEX = {each: f"\\{each}" for each in "&%$#_{}"}
_IN_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_IN_LATEX |= {"±": r"$\pm$", "→": r"$\to$", "−": "$-$", "×": r"$\times$"}


def as_csv(table: Table) -> str:
    """Headings and rows, numbers in full, empty cells for what is not there."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """A pipe table with its title above and its caption below, numbers set right."""
    numeric = _numeric(table)
    lines = [
        _pipes([_in_markdown(column) for column in table.columns]),
        _pipes(["---:" if right else "---" for right in numeric]),
        *(_pipes([_in_markdown(_word(cell)) for cell in row]) for row in table.rows),
    ]
    return f"**{table.title}**\n\n" + "\n".join(lines) + f"\n\n{table.caption}\n"


def as_latex(table: Table) -> str:
    """A floating table with the rules of ``booktabs``, its caption, and its name as label."""
    alignment = "".join("r" if right else "l" for right in _numeric(table))
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_in_latex(f'{table.title}. {table.caption}')}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        _ampersands(table.columns),
        "\\midrule",
        *(_ampersands([_word(cell) for cell in row]) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


TABLE_FORMATS: Mapping[str, Callable[[Table], str]] = {"csv": as_csv, "md": as_markdown, "tex": as_latex}


def _numeric(table: Table) -> list[bool]:
    """Which columns hold numbers alone."""
    columns = range(len(table.columns))
    return [all(not isinstance(row[column], str) for row in table.rows) for column in columns]


def _word(cell: Cell) -> str:
    """A cell as a reader sees it: numbers to four digits."""
    if cell is None or cell != cell:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _in_markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _ampersands(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(_in_latex, cells))} \\\\"


def _in_latex(text: str) -> str:
    return "".join(_IN_LATEX.get(letter, letter) for letter in text)
