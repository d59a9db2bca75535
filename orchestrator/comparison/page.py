"""A comparison as a file: which endings there are, and the page of its chart and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import cast

from clipsweep.analysis.drawing.chart import Chart, Panel
from clipsweep.analysis.drawing.draw import FILE_FORMATS, FileFormat, check_matplotlib, draw
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.os_words import check_output

HTML = ".html"
CONFIG = {"responsive": True, "displayModeBar": False}
ENDINGS = (HTML, *(f".{file_format}" for file_format in FILE_FORMATS))
STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; color: #1f2328; background: #fff; }
body { font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.2rem; }
pre { overflow-x: auto; font-size: .85rem; line-height: 1.4; }
figure { margin: 0; }
figcaption { max-width: 45rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.panels > div { min-width: 0; overflow: hidden; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main>
<h1>{title}</h1>
<figure><div class="panels">{panels}</div><figcaption>{caption}</figcaption></figure>
<h2>In words</h2>
<pre tabindex="0">{words}</pre>
</main></body>
</html>
"""


def check_file(path: Path) -> None:
    """Refuse a file that could not be written, before studies are read.

    Raises:
        SpecError: Its ending is none of ``ENDINGS``, or matplotlib is needed and not installed.
        PlaceError: It cannot be written there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise SpecError(f"{path} ends in {path.suffix!r}; expected a file that ends in {_or(ENDINGS)}.")
    if not is_page(path):
        check_matplotlib()
    check_output(path, "the comparison")


def is_page(path: Path) -> bool:
    """Whether the ending says HTML."""
    return path.suffix.lower() == HTML


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def format_of(path: Path) -> FileFormat:
    """The format that the ending of a checked file says."""
    return cast(FileFormat, path.suffix.lower().removeprefix("."))


def write_page(path: Path, chart: Chart, words: str) -> None:
    """Write one HTML file that opens offline: the chart, and the comparison in words.

    Args:
        path: Where to.
        chart: Of the comparison.
        words: Plain text, lines aligned.
    """
    panels = [_panel(chart, panel, first=not number) for number, panel in enumerate(chart.panels)]
    write_text(
        path,
        PAGE.format(
            title=escape(chart.title),
            style=STYLE,
            panels="\n".join(panels),
            caption=escape(chart.caption),
            words=escape(words),
        ),
    )


def _panel(chart: Chart, panel: Panel, *, first: bool) -> str:
    """One panel as a figure of its own, so that a narrow page has them below each other."""
    alone = replace(chart, title=panel.title, panels=[replace(panel, title="")])
    figure = draw(alone, "plotly").to_html(full_html=False, include_plotlyjs=first, config=CONFIG)
    return f'<div role="img" aria-label="{escape(panel.title)}">{figure}</div>'
