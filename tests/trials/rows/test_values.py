import copy
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.values import Binary, Written, decoded, is_missing, text_of


class Colour(str, Enum):  # noqa: UP042 (a StrEnum is its text already)
    RED = "crimson"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" as written\r\n\t", " as written\r\n\t"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (12345678901234567890123, "12345678901234567890123"),
        (0.1, "0.1"),
        (Written("19.50"), "19.50"),
        (np.float32(0.1), "0.1"),
        (np.int64(7), "7"),
        (Decimal("0E-10"), "0.0000000000"),
        (date(2024, 1, 20), "2024-01-20"),
        (datetime(2024, 1, 20, 10), "2024-01-20 10:00:00"),
        (time(10, 30), "10:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("café".encode(), "café"),
        (Colour.RED, "crimson"),
    ],
)
def test_a_value_has_one_text(value: Any, text: str) -> None:
    assert text_of(value, "v") == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "column 'v' holds nothing .null.; expected text or a number"),
        (["a", "b"], r"column 'v' holds a list, \['a', 'b'\]; .* Name one of its parts, as {v\[0\]}, or join it"),
        (("a",), "column 'v' holds a list"),
        ({"en": "a"}, r"column 'v' holds a mapping, .* Name one of its parts, as {v\[en\]}"),
        ({}, "column 'v' holds a mapping"),
        ({1, 2}, "column 'v' holds a value of type set"),
        (np.array([1, 2]), "column 'v' holds a value of type ndarray"),
        ("x".upper, "column 'v' holds a value of type builtin_function_or_method"),
        (b"caf\xe9", "column 'v' holds bytes that are not UTF-8, b'caf.xe9'"),
        ("half \ud83d", r"column 'v' holds half a surrogate pair, '\\ud83d'"),
    ],
)
def test_what_has_no_text_of_its_own_is_refused(value: Any, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        text_of(value, "v")


@pytest.mark.parametrize("value", [None, "", " \t\n", float("nan"), np.float32("nan"), Decimal("nan")])
def test_null_blank_and_nan_are_no_value(value: Any) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", ["None", "nan", 0, False, 0.0, [], date(2024, 1, 1)])
def test_words_for_nothing_are_text_and_zero_is_a_number(value: Any) -> None:
    assert not is_missing(value)


def test_a_number_as_written_is_a_float_in_all_else() -> None:
    number = Written("19.50")
    assert (number + 1, number == 19.5, round(number)) == (20.5, True, 20)
    assert (f"{number}", f"{number:.1f}", repr(number)) == ("19.50", "19.5", "19.50")
    assert str(copy.deepcopy(number)) == "19.50"


def test_bytes_that_are_no_utf_8_never_become_text() -> None:
    value = decoded(b"\xff\xfe")
    assert isinstance(value, Binary)
    with pytest.raises(TaskError, match="are not UTF-8; expected text"):
        f"{value}"  # as a user's function may do
