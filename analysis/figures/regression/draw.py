"""Draw Figure 5: ``python -m clipsweep.analysis.figures.regression.draw figure5.json --out FOLDER``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipsweep.analysis.drawing.draw import FILE_FORMATS, check_matplotlib, write_chart
from clipsweep.analysis.drawing.tables import as_markdown
from clipsweep.analysis.figures.regression.charts import atlas_chart, clipped_chart, regression_chart
from clipsweep.analysis.figures.regression.table import clips_table, errors_table
from clipsweep.trials.base.errors import ClipsweepError, StoreError
from clipsweep.trials.base.files import write_text


def read_numbers(path: Path) -> dict[str, Any]:
    """The numbers of a file.

    Raises:
        StoreError: It cannot be read, or is no such file.
    """
    try:
        numbers = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); expected the figure5.json that figure5 writes.") from error
    if not isinstance(numbers, dict) or not {"settings", "solvers", "checkpoints"} <= numbers.keys():
        raise StoreError(f"{path} has no numbers of Figure 5; expected the figure5.json that figure5 writes.")
    return numbers


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a file for each chart, and for each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", type=Path, help="figure5.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--format", choices=FILE_FORMATS, default="svg")
    given = parser.parse_args(arguments)
    try:
        check_matplotlib()
        numbers = read_numbers(given.numbers)
    except ClipsweepError as error:
        parser.error(str(error))
    for make in (regression_chart, clipped_chart, atlas_chart):
        chart = make(numbers)
        if chart is not None:
            write_chart(chart, given.out / f"{chart.name}.{given.format}", given.format)
            print(f"drawn: {given.out / chart.name}.{given.format}")
    for table in (errors_table(numbers), clips_table(numbers)):
        if table is not None:
            write_text(given.out / f"{table.name}.md", as_markdown(table))
            print(f"written: {given.out / table.name}.md")


if __name__ == "__main__":
    main()
