"""What the page's templates are filled with: the environment, its filters, and the files that are put inside."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from clipsweep.analysis.drawing.chart import Table

TEMPLATES = files("clipsweep.analysis.report") / "templates"
NUMBER = re.compile(r"[\[+\-−–(]?\d|infinite$")  # how a cell begins that is set right
IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
COMPRESSION = 6


@lru_cache(maxsize=1)
def make_environment() -> Environment:
    """The environment of all templates: everything is escaped, and a name that is missing is an error."""
    environment = Environment(
        loader=PackageLoader("clipsweep.analysis.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["cell"] = as_cell
    environment.filters["set_right"] = set_right
    environment.globals["inlined"] = read_asset
    environment.globals["plotly"] = packed_plotly
    return environment


def read_asset(name: str) -> str:
    """A style sheet or script of the page, as it lies beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def packed_plotly() -> str:
    """plotly.js, compressed, in Base64: 1.9 MB of text where the script itself has 4.8. The page unpacks it."""
    packed = gzip.compress(get_plotlyjs().encode(), COMPRESSION, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def script_json(value: Any) -> str:
    """A value as JSON that may stand in a script element, whatever texts are in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return escape_json(text)


def escape_json(text: str) -> str:
    """JSON as it may stand in a script element: nothing in it ends the element or begins a comment."""
    for character, escaped in IN_SCRIPT.items():
        text = text.replace(character, escaped)
    return text


def as_cell(value: str | float | int | None) -> str:
    """A cell of a table as the page shows it; a dash where there is nothing."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def set_right(table: Table) -> list[bool]:
    """Of each column whether it is set right: it holds numbers and texts that begin with one, and gaps, alone."""
    return [all(map(_is_number, column)) for column in zip(*table.rows, strict=True)]


def _is_number(value: str | float | int | None) -> bool:
    return not isinstance(value, str) or not value or NUMBER.match(value) is not None
