"""What commands print in place of JSON: rows and condition numbers as tables."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from clipsweep.analysis.store.row import SCHEMA, StoredRow, jsonable
from clipsweep.orchestrator.views.checkpoint_spectrum import CheckpointSpectrum

SUMMARY_COLUMNS = (
    "split",
    "shots",
    "demo_seed",
    "module",
    "layer",
    "clip_rate",
    "state",
    "n_examples",
    "accuracy",
    "seconds",
    "error",
)
NESTED_COLUMNS = {"clips", "versions"}
WIDTH_IN_A_FILE = 140  # characters of a table that is not printed on a terminal


def print_rows_csv(rows: Sequence[StoredRow]) -> None:
    """Print rows as CSV, lists and mappings in it as JSON."""
    writer = csv.DictWriter(sys.stdout, fieldnames=SCHEMA.names)
    writer.writeheader()
    for row in rows:
        plain = jsonable(row)
        writer.writerow(plain | {key: json.dumps(plain[key]) for key in NESTED_COLUMNS})


def print_rows_table(rows: Sequence[StoredRow]) -> None:
    """Print the columns of rows that say most, as a table."""
    table = Table(*SUMMARY_COLUMNS)
    for row in rows:
        record = row.record()
        shown = record if len(record["clips"]) < 2 else record | _listed(record["clips"])
        table.add_row(*(_cell(shown[column]) for column in SUMMARY_COLUMNS))
    _print_table(table)


def print_conditions(measured: CheckpointSpectrum) -> None:
    """Print the condition number of each module by layer."""
    table = Table("layer", *measured.modules)
    values = measured.condition_numbers()
    for layer in sorted({layer for by_layer in values.values() for layer in by_layer}):
        table.add_row(str(layer), *(_cell(values[module].get(layer)) for module in measured.modules))
    _print_table(table)


def _print_table(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE).print(table)


def _listed(clips: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Module, layer and clip rate of several clips, as one cell each."""
    return {key: "\n".join(_cell(clip[key]) for clip in clips) for key in ("module", "layer", "clip_rate")}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
