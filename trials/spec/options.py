"""What a kind of clip takes besides the rate: its options, how each is read, and their one spelling as JSON."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from clipsweep.trials.base.errors import SpecError, unknown_name

REQUIRED: Any = object()  # the default of an option that has none
LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # a default that is a list has no hash
class Option:
    """One option of a kind of clip.

    Attributes:
        name: Its key.
        means: What it does, as a sentence.
        expected: What completes "expected ...".
        read: Makes the one value that equal settings have out of what was given; a ``ValueError`` where it is none.
        default: The value where nothing is given; ``REQUIRED`` where something must be.
        names: Where it is one of several names, these.
    """

    name: str
    means: str
    expected: str
    read: Callable[[Any], Any]
    default: Any = REQUIRED
    names: tuple[str, ...] = ()


def fill(kind: str, known: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a kind, those that are not given at their defaults.

    Raises:
        SpecError: An option that the kind does not take, that it lacks, or a value that it cannot have.
    """
    names = [option.name for option in known]
    for name in given:
        if not names:
            raise SpecError(f"kind of clip {kind!r} takes no options, and {name!r} is given; remove it.")
        if name not in names:
            raise SpecError(unknown_name(f"option of kind of clip {kind!r}", name, names))
    return {option.name: _read(kind, option, given.get(option.name, option.default)) for option in known}


def parse(kind: str, text: str | None) -> dict[str, Any]:
    """Options out of JSON; none where there is no text.

    Raises:
        SpecError: It is not a JSON mapping.
    """
    try:
        given = {} if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise no_mapping(kind, text) from error
    if not isinstance(given, dict):
        raise no_mapping(kind, text)
    return given


def no_mapping(kind: str, options: object) -> SpecError:
    """Word the refusal of options that are no mapping as JSON."""
    return SpecError(f"options of kind of clip {kind!r} are {options!r}; expected a JSON mapping as text, or None.")


def _read(kind: str, option: Option, value: Any) -> Any:
    if value is REQUIRED:
        raise SpecError(f"kind of clip {kind!r} lacks its option {option.name!r}; expected {option.expected}.")
    try:
        return option.read(value)
    except (ValueError, OverflowError) as error:  # the second of a whole number that is too large for a float
        close = difflib.get_close_matches(str(value), option.names, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise SpecError(
            f"option {option.name!r} of kind of clip {kind!r} is {value!r}; expected {option.expected}.{meant}"
        ) from error


def whole_number(least: int) -> Callable[[Any], int]:
    """Reads a whole number of ``least`` or more."""

    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= LARGEST:
            raise ValueError(value)
        return value

    return read


def or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Reads what ``read`` does, or nothing."""
    return lambda value: None if value is None else read(value)


def one_of(names: Sequence[str]) -> Callable[[Any], str]:
    """Reads one of some names."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(value)
        return value

    return read


def read_positive(value: Any) -> float:
    """A finite number above 0."""
    if type(value) not in {int, float} or not 0 < value < math.inf:
        raise ValueError(value)
    return float(value)


def read_window(value: Any) -> list[int]:
    """Two ranks, the first one and the one after the last: ``[a, b]`` with ``0 <= a < b``."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(value)
    first, end = map(whole_number(0), value)
    if first >= end:
        raise ValueError(value)
    return [first, end]


def read_ladder(value: Any) -> list[float]:
    """Clip rates in ascending order, each once."""
    if not isinstance(value, list) or not value or any(type(each) not in {int, float} for each in value):
        raise ValueError(value)
    rates = [float(each) for each in value]
    if not all(0 <= rate < 1 for rate in rates) or any(before >= after for before, after in pairwise(rates)):
        raise ValueError(value)
    return rates
