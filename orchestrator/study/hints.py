"""How a wrong value of a study can be mended."""

from __future__ import annotations

import math
from typing import Any

from clipsweep.orchestrator.study.expected import admits_number, admits_text, nearest
from clipsweep.orchestrator.study.names import STOPPING_RULES
from clipsweep.orchestrator.words import LONGEST_SHOWN, as_name

QUOTES = " YAML takes yes, no, on and off for true and false; put text in quotes."
BY_KEY = {f"search.{rule}": " Remove the key for no limit." for rule in STOPPING_RULES}
BY_KEY["search.race"] = " Remove the key, or give it null, for no race."
ONE_KEY = {"model": "path", "task": "name", "task.definition.data": "path"}  # what a text in place of a section means


def hint(key: str, value: Any, wanted: Any, *, required: bool) -> str:
    """How to mend a value, as a sentence after a blank; empty where what was expected says all.

    Args:
        key: Of the study, dotted.
        value: What stands there.
        wanted: The type that was expected.
        required: Whether the key has no default.
    """
    if value is None:
        return BY_KEY.get(key, " Give it a value." if required else " Remove the key for its default.")
    if value == "":
        return f" It is empty; give it a value{'' if required else ', or remove the key'}."
    if isinstance(value, str):
        return _of_text(key, value, wanted)
    if admits_text(wanted) and not isinstance(value, list | dict):
        return QUOTES if isinstance(value, bool) else f" Put it in quotes: '{value}'."
    if key.startswith("space.clip_rates") and type(value) in {int, float} and value >= 1:
        return " A rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)."
    return BY_KEY.get(key, "")


def _of_text(key: str, value: str, wanted: Any) -> str:
    """How to mend a text that is not one of those expected, or where none is."""
    if key in ONE_KEY and len(value) <= LONGEST_SHOWN:
        return f" Write it as {{{ONE_KEY[key]}: {value}}}."
    if key == "name":
        usable = as_name(value[:LONGEST_SHOWN])
        return f" Say {usable!r}." if usable else ""
    number = _number(value)
    if number is not None and admits_number(wanted):
        return f" It is text; write {number} without quotes."
    close = nearest(value, wanted)
    return f" Did you mean {close!r}?" if close and close != value else BY_KEY.get(key, "")


def _number(text: str) -> str | None:
    """The number that a text holds, as YAML wants it written; None where it holds none."""
    try:
        number = float(text.strip().rstrip("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return repr(int(number)) if number.is_integer() else repr(number)
