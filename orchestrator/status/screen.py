"""A study that is watched, on a terminal: drawn anew at each look, whatever the terminal's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clipsweep.orchestrator.status.watcher import Seen
from clipsweep.orchestrator.status.words import clock, describe_counts, describe_rate, describe_word
from clipsweep.trials.base.errors import counted

STALE_S = 5.0  # rows older than this are said to be
WARNINGS_SHOWN = 3
FOOTER = "Ctrl-C ends watching, not the study."
STYLES = {"running": "bold cyan", "done": "bold green", "failed": "bold red", "interrupted": "bold yellow"}


def draw(seen: Seen, console: Console) -> RenderableType:
    """The study as so many lines as the terminal has."""
    document = seen.document
    above: list[RenderableType] = [
        Text.assemble((seen.name, "bold"), "  ", (document["state"], STYLES[document["state"]])),
        _bar(document),
        *map(Text, [describe_counts(document) + _age_of_rows(seen), *_run_lines(document)]),
        Text(f"best so far: {seen.best}"),
    ]
    below: list[RenderableType] = [
        *(Text(line, style="yellow", no_wrap=True, overflow="ellipsis") for line in _troubles(document)),
        Text(FOOTER, style="dim"),
    ]
    taken = sum(len(console.render_lines(part)) for part in (*above, *below))
    room = console.size.height - taken - 1  # for the names of the columns
    replicas = [_replicas(document["replicas"], room)] if document["replicas"] and room > 0 else []
    return Group(*above, *replicas, *below)


def _bar(document: Mapping[str, Any]) -> RenderableType:
    """How many of the trials are done or stopped."""
    total = document["total"] or None
    over = document["done"] + document["pruned"] + document["failed"]
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(ProgressBar(total=total, completed=over), f"{100 * over / total:.0f} %" if total else "")
    return grid


def _age_of_rows(seen: Seen) -> str:
    """That counts are old, where reading them again would cost too much."""
    return f" ({seen.rows_age_s:.0f} s ago)" if seen.rows_age_s >= STALE_S and not seen.is_over else ""


def _run_lines(document: dict[str, Any]) -> Iterator[str]:
    """What the run says, and how old that is."""
    if document["waits_for"]:
        yield f"waiting: {document['waits_for']}"
    yield from filter(None, (describe_rate(document), describe_word(document)))


def _replicas(replicas: Sequence[Mapping[str, Any]], most: int) -> RenderableType:
    """The replicas that are up, a line each, and how many more there are."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("replica", "where"):
        table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1)
    for column in ("rows", "rows/s", "up since", "last result"):
        table.add_column(column, justify="right", no_wrap=True)
    shown = replicas if len(replicas) <= most else replicas[: most - 1]
    for replica in shown:
        table.add_row(*_cells(replica))
    if len(shown) < len(replicas):
        table.add_row(f"and {len(replicas) - len(shown)} more")
    return table


def _cells(replica: Mapping[str, Any]) -> list[str]:
    rate, last = replica["rows_per_second"], replica["last_result_at"]
    return [
        replica["name"],
        f"{replica['device']} of {replica['node']}",
        f"{replica['rows']:,}",
        "–" if rate is None else f"{rate:,.0f}",
        clock(replica["up_since"]),
        "–" if last is None else clock(last),
    ]


def _troubles(document: Mapping[str, Any]) -> Iterator[str]:
    """The replicas that were lost, the last of them by name, and the last warnings."""
    if document["replicas_lost"]:
        named = ", ".join(f"{each['name']} at {clock(each['down_since'])}" for each in document["lost"][-2:])
        yield f"{counted(document['replicas_lost'], 'replica')} lost in this run, the last: {named}"
    yield from (f"warning: {line}" for line in document["warnings"][-WARNINGS_SHOWN:])


def line_of(seen: Seen) -> str:
    """The study in one line, for what is no terminal."""
    document = seen.document
    parts = [describe_counts(document), describe_rate(document), document["waits_for"] or "", describe_word(document)]
    return f"{document['state']}: " + "; ".join(part for part in parts if part)
