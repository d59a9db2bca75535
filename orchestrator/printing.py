"""What commands print in place of JSON: a study's status in words, rows and condition numbers as tables."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from clipsweep.analysis.store.table import Row, jsonable
from clipsweep.orchestrator.run.progress import format_seconds
from clipsweep.orchestrator.status.answer import SUMMARY_COLUMNS
from clipsweep.orchestrator.views.checkpoint_spectrum import CheckpointSpectrum

NESTED_COLUMNS = {"clips", "versions"}
WIDTH_IN_A_FILE = 140  # characters of a table that is not printed on a terminal


def describe_status(status: Mapping[str, Any]) -> str:
    """The document of ``clipsweep status --json`` in a few lines of words."""
    going_on = status["state"] in ("running", "interrupted")  # then some of them only wait for the others
    words = "part of their rows seen" if going_on else "stopped by the race"
    pruned = f", {status['pruned']} {words}" if status["pruned"] else ""
    lines = [f"{status['state']}: {status['done']} of {status['total']} trials{pruned}, {status['failed']} failed"]
    if status["stopped_by"]:
        lines.append(f"stopped by {status['stopped_by']}")
    if status["trials_per_second"]:
        left = format_seconds(status["seconds_left"] or 0)
        lines.append(f"{status['trials_per_second']:.2f} trials/s, {left} left, {status['running']} running")
    lines += [f"{replica['name']}: {replica['device']} of {replica['node']}" for replica in status["replicas"]]
    return "\n".join(lines)


def print_rows_csv(rows: Sequence[Row]) -> None:
    """Print rows as CSV, lists and mappings in it as JSON."""
    plain = [jsonable(row) for row in rows]
    writer = csv.DictWriter(sys.stdout, fieldnames=list(plain[0]) if plain else SUMMARY_COLUMNS)
    writer.writeheader()
    for row in plain:
        writer.writerow({key: json.dumps(row[key]) if key in NESTED_COLUMNS else row[key] for key in row})


def print_rows_table(rows: Sequence[Row]) -> None:
    """Print the columns of rows that say most, as a table."""
    table = Table(*SUMMARY_COLUMNS)
    for row in rows:
        shown = row if len(row["clips"]) < 2 else row | _listed(row["clips"])
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
