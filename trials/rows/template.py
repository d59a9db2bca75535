"""Format strings over a row: what a prompt shows of its columns."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.values import DataRow, text_of


class _Columns(string.Formatter):
    """Format strings over a row.

    ``{column}`` is without its outer white space, ``{column!w}`` with all of it, ``{column!l}`` with what leads it.
    A value is shown as ``text_of`` has it, and what has no text is refused.
    """

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value, used = super().get_field(field_name, args, kwargs)
        text_of(value, field_name)  # here, where the name is known
        return value, used

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion not in (None, "w", "l", "s"):
            return super().convert_field(value, conversion)
        text = text_of(value, "")
        if conversion is None:
            return text.strip()
        return text.rstrip() if conversion == "l" else text


_COLUMNS = _Columns()


@lru_cache(maxsize=256)
def columns_of(text: str) -> frozenset[str]:
    """Columns that a format string names; of ``{choices[0]}`` it is ``choices``.

    Raises:
        TaskError: A brace without its partner, or a field without a name.
    """
    try:
        names = [name for _, name, _, _ in _COLUMNS.parse(text) if name is not None]
    except ValueError as error:
        raise TaskError(f"template {text!r} is malformed ({error}); write {{{{ and }}}} for literal braces.") from error
    if any(not re.match(r"[^.\[\d]", name) for name in names):
        raise TaskError(f"template {text!r} has a field without a name; expected the name of a column in braces.")
    return frozenset(re.split(r"[.\[]", name, maxsplit=1)[0] for name in names)


def word(text: str, row: DataRow) -> str:
    """Fill a format string with a row's columns."""
    return _COLUMNS.vformat(text, (), row)
