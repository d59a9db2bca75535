"""What commands print in place of JSON: rows, studies and condition numbers as tables."""

from __future__ import annotations

import json
import math
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.table import Table

from clipsweep.analysis.row.row import OF_BLOCKS, SCHEMA, StoredRow
from clipsweep.analysis.store.rows import plain_rows
from clipsweep.analysis.winners.interval import Z, accuracy_interval, standard_error
from clipsweep.analysis.winners.point import label_layers, runs_of
from clipsweep.orchestrator.status.listing import Listed
from clipsweep.orchestrator.terminal.shell import print_json
from clipsweep.orchestrator.views.checkpoint_spectrum import CheckpointSpectrum
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import NLL
from clipsweep.trials.scores.shown import perplexity_words
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND

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
ANSWERED, OF_TEXT = "accuracy", ("nll", "perplexity")  # the scores in it, of answers and of texts
NESTED_COLUMNS = {"clips", "versions", *OF_BLOCKS}
WIDTH_IN_A_FILE = 140  # characters of a table that is not printed on a terminal


def print_rows_csv(rows: Sequence[StoredRow]) -> None:
    """Print rows as CSV, lists and mappings in it as JSON."""
    sys.stdout.write(_csv_line(SCHEMA.names))
    for plain in plain_rows(rows):
        nested = {key: json.dumps(plain[key]) for key in NESTED_COLUMNS if plain[key] is not None}
        sys.stdout.write(_csv_line((plain | nested).values()))


def _csv_line(values: Iterable[Any]) -> str:
    """A line as ``csv`` writes it, which looks at each character, and so takes most of the time for long cells."""
    return ",".join(map(_csv_cell, values)) + "\r\n"


def _csv_cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    if "," in value or '"' in value or "\n" in value or "\r" in value:  # a loop over them takes five times as long
        return '"' + value.replace('"', '""') + '"'
    return value


def print_values(columns: Sequence[str], rows: Sequence[Sequence[Any]], row_format: str) -> None:
    """Print a table of plain values in a format of ``clipsweep results``; bytes are in Base64, times in ISO 8601."""
    plain = [[_plain(value) for value in row] for row in rows]
    if row_format == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in plain])
    elif row_format == "jsonl":
        sys.stdout.writelines(f"{json.dumps(dict(zip(columns, row, strict=True)))}\n" for row in plain)
    elif row_format == "csv":
        sys.stdout.write(_csv_line(columns))
        sys.stdout.writelines(_csv_line([_flat(value) for value in row]) for row in plain)
    elif row_format == "markdown":
        _print_markdown(columns, ([_cell(_flat(value)) for value in row] for row in plain))
    else:
        table = Table(*columns)
        for row in plain:
            table.add_row(*(_cell(_flat(value)) for value in row))
        print_table(table)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is not a finite number is null."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else _number_or_text(value)


def _number_or_text(value: Any) -> float | str:
    """A decimal number as it counts, anything else, as dates and intervals, in words."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _flat(value: Any) -> Any:
    """A value as one cell: lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def print_rows_table(rows: Sequence[StoredRow], also: Iterable[str] = ()) -> None:
    """Print the columns of rows that say most, as a table.

    Args:
        rows: What to print.
        also: Further columns, which rows were picked or sorted by.
    """
    columns = _columns(rows, also)
    table = Table(*columns)
    for cells in _cells(rows, columns):
        table.add_row(*cells)
    print_table(table)


def print_rows_markdown(rows: Sequence[StoredRow], also: Iterable[str] = ()) -> None:
    """Print the same as a table of Markdown."""
    columns = _columns(rows, also)
    _print_markdown(columns, _cells(rows, columns))


def _print_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print cells as a table of Markdown."""
    for line in (columns, ["---"] * len(columns), *rows):
        cells = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in line)
        sys.stdout.write(f"| {' | '.join(cells)} |\n")


def print_rows_lines(rows: Sequence[StoredRow]) -> None:
    """Print rows as JSON, one a line."""
    for plain in plain_rows(rows):
        sys.stdout.write(json.dumps(plain) + "\n")


def print_scores(rows: Sequence[StoredRow], against: Sequence[StoredRow] = ()) -> None:
    """Print what rows scored, each above the row that it is compared with, if it is compared."""
    scores = ("accuracy", "95 % interval", "macro F1", "log-prob", "cal. error")
    if any(row.is_text for row in (*rows, *against)):
        scores = ("nll", "95 % interval", "perplexity", "windows", "tokens")
    columns = ("shots", "seed", *scores, "seconds")
    table = Table(*(["", *columns] if against else columns), box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for row, other in zip_longest(rows, against):
        table.add_row(*(["model"] if against else []), *_scores(row))
        if other is not None:
            table.add_row("against", *_scores(other))
    print_table(table)


def _scores(row: StoredRow) -> list[str]:
    """The cells of one row of ``print_scores``."""
    if row.is_text:
        return [str(row.shots), str(row.demo_seed), *_scores_of_text(row)]
    if row.accuracy is None:
        return [str(row.shots), str(row.demo_seed), row.state.value, *["–"] * 5]
    low, high = accuracy_interval(row.accuracy, row.n_examples)
    return [
        str(row.shots),
        str(row.demo_seed),
        f"{row.accuracy:.4f}",
        f"{low:.3f} – {high:.3f}",
        *(_cell(value) for value in (row.macro_f1, row.gold_logprob, row.calibration_error, row.seconds)),
    ]


def _scores_of_text(row: StoredRow) -> list[str]:
    """The cells of a row that scored windows of text."""
    nll, weights = row.score(NLL), row.example_weights
    assert weights is not None, "windows weigh by their tokens"
    half = Z * standard_error(row.example_scores, weights)
    return [
        f"{nll:.4f}",
        f"{nll - half:.3f} – {nll + half:.3f}",
        perplexity_words(nll),
        f"{row.n_examples:,}",
        f"{int(weights.sum()):,}",
        _cell(row.seconds),
    ]


def print_list(listed: Sequence[Listed]) -> None:
    """Print studies, a line for each."""
    table = Table("folder", "name", "state", "trials", "best score", "last run")
    for each in listed:
        score = "–" if each.score is None else f"{each.score:.4f} {each.metric}"
        last = "–" if each.last_run is None else f"{each.last_run.astimezone():%Y-%m-%d %H:%M}"
        trials = "–" if each.total is None else f"{(each.done or 0) + (each.pruned or 0)}/{each.total}"
        table.add_row(each.dir, each.name or "–", each.state, trials, score, last)
    print_table(table)


def print_expectation(expectation: Mapping[str, Any]) -> None:
    """Print what a search is expected to find at each budget, and how far that can be trusted; see ``expect``."""
    surfaces, budgets = expectation["surfaces"], expectation["budgets"]
    if not surfaces:
        sys.stdout.write("expected    not known: no search of this kind was replayed\n")
        return
    counts = counted(len(surfaces), "small surface")
    sys.stdout.write(
        "expected    share of the gain that the full grid's winner has over the untouched model:\n"
        f"            an expectation, from {counts} of small models; yours may differ\n"
    )
    table = Table(
        "search.n_trials", "rows", "time", "median surface", "1 seed in 10 below", "lowest surface", "1 in 10 below"
    )
    for each in budgets:
        shares = [
            each[key][which] for which in ("median", "lowest") for key in ("share_of_gain", "share_of_gain_unlucky")
        ]
        trials = f"{each['n_trials']:,}" + ("" if each["replayed"] else " *")
        table.add_row(
            trials, f"{each['rows']:,}", format_seconds(3600 * each["hours"]), *(f"{one:z.2f}" for one in shares)
        )
    print_table(table)
    more = (
        [] if all(each["replayed"] for each in budgets) else ["* more than was replayed: told as for the most that was"]
    )
    sys.stdout.writelines(f"note        {note}\n" for note in (*more, *expectation["unlike"]))


def _columns(rows: Iterable[StoredRow], also: Iterable[str]) -> tuple[str, ...]:
    """The columns that say most; the task and the kind of clip where rows differ in it, or it is not the usual one."""
    columns, rows = list(SUMMARY_COLUMNS), list(rows)
    if len({row.task for row in rows}) > 1:
        columns.insert(0, "task")
    if any(row.is_text for row in rows):
        place = columns.index(ANSWERED)
        answered = any(row.has_scores and not row.is_text for row in rows)
        columns[place : place + 1] = (ANSWERED, *OF_TEXT) if answered else OF_TEXT
    if any(clip.kind != DEFAULT_KIND for row in rows for clip in row.clips):
        columns.insert(columns.index("clip_rate"), "kind")
    return tuple(dict.fromkeys((*columns, *also)))


def _cells(rows: Iterable[StoredRow], columns: Sequence[str]) -> Iterator[list[str]]:
    """The cells of rows in words; of several clips each in a line of its own, a range of layers in one."""
    for row in rows:
        record = row.record()
        shown = record | (_listed(row.clips) if row.clips else {"kind": None})
        yield [_cell(shown[column]) for column in columns]


def print_conditions(measured: CheckpointSpectrum) -> None:
    """Print the condition number of each module by layer."""
    table = Table("layer", *measured.modules)
    values = measured.condition_numbers()
    for layer in sorted({layer for by_layer in values.values() for layer in by_layer}):
        table.add_row(str(layer), *(_cell(values[module].get(layer)) for module in measured.modules))
    print_table(table)


def print_table(table: Table) -> None:
    """Print a table as it is, no markup, as wide as the terminal where there is one."""
    Console(markup=False, width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE).print(table)


def _listed(clips: Sequence[Clip]) -> dict[str, str]:
    """Module, layer, kind and clip rate of clips, as one cell each; layers that are clipped alike in one line."""
    runs = runs_of(clips)
    return {
        "module": "\n".join(run[0].module for run in runs),
        "layer": "\n".join(map(label_layers, runs)),
        "kind": "\n".join(run[0].of_kind.words for run in runs),
        "clip_rate": "\n".join(_cell(run[0].clip_rate) for run in runs),
    }


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
