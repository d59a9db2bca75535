"""The table of columns in `docs/howto/results.md`, made from the columns themselves."""

import pyarrow as pa

from clipsweep.analysis.row.row import COLUMNS

HEAD = "| column | type | unit | what |\n| --- | --- | --- | --- |"
WORDS = {"str": "text", "bin": "bytes", "int": "whole number", "dou": "number", "tim": "time", "lis": "list"}


def columns_table() -> str:
    """The table as Markdown, a line for each column."""
    lines = [f"| `{each.name}` | {words_of(each.arrow)} | {each.unit} | {each.means} |" for each in COLUMNS]
    return "\n".join([HEAD, *lines])


def words_of(kind: pa.DataType) -> str:
    """A type in plain words."""
    return "mapping" if pa.types.is_struct(kind) else WORDS[str(kind)[:3]]
