"""Arrow tables from plain Python values. pyarrow's own conversion loads pandas, which takes a third of a second."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipsweep.analysis.row.columns import EPOCH

MICROSECOND = timedelta(microseconds=1)
NUMBERS: Mapping[pa.DataType, tuple[str, Callable[[Any], Any]]] = {
    pa.int32(): ("<i4", operator.index),
    pa.int64(): ("<i8", operator.index),
    pa.float64(): ("<f8", float),
    pa.timestamp("us", tz="UTC"): ("<i8", lambda time: (time - EPOCH) // MICROSECOND),
}


def make_table(records: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows; a column that a row lacks is null there.

    Raises:
        TypeError: A value is not of its column's type.
        OverflowError: An integer has no room in it, or its texts and lists are of more than 2 GiB.
    """
    return make_columns({name: [record.get(name) for record in records] for name in schema.names}, len(records), schema)


def make_columns(columns: Mapping[str, Sequence[Any]], n_rows: int, schema: pa.Schema) -> pa.Table:
    """A table of columns of plain values; one that is missing is null. Errors as of ``make_table``."""
    none = [None] * n_rows
    arrays = [make_array(columns.get(field.name, none), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def make_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array[Any]:
    """An array of values, None where there is none.

    Args:
        values: Numbers, texts, bytes, times with their zone, lists or mappings, as ``kind`` has it.
        kind: A type of ``NUMBERS``, text, bytes, or a list or struct of these.
    """
    valid = _bits([value is not None for value in values])
    if isinstance(kind, pa.StructType):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        children = [
            make_array([None if value is None else value[field.name] for value in values], field.type)
            for field in fields
        ]
        return pa.Array.from_buffers(kind, len(values), [valid], children=children)
    if isinstance(kind, pa.ListType):
        lists = [value or () for value in values]
        child = make_array(list(chain.from_iterable(lists)), kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [valid, _offsets(lists)], children=[child])
    if kind in (pa.string(), pa.binary()):
        pieces = [_encode(value, kind) for value in values]
        return pa.Array.from_buffers(kind, len(values), [valid, _offsets(pieces), pa.py_buffer(b"".join(pieces))])
    dtype, convert = NUMBERS[kind]
    numbers = np.array([0 if value is None else convert(value) for value in values], dtype=dtype)
    return pa.Array.from_buffers(kind, len(values), [valid, _buffer(numbers)])


def numbers_in(column: pa.ChunkedArray[Any]) -> NDArray[Any]:
    """The numbers of a column of ``NUMBERS``, times as microseconds; anything where it is null."""
    dtype = NUMBERS[column.type][0]
    return _joined([_numbers(chunk, dtype) for chunk in column.chunks], dtype)


def valid_in(column: pa.ChunkedArray[Any]) -> NDArray[np.bool_]:
    """Where a column is not null."""
    return _joined([_valid(chunk) for chunk in column.chunks], "?")


def lengths_in(column: pa.ChunkedArray[Any]) -> NDArray[np.int64]:
    """How many bytes or values each text, bytes or list of a column has; 0 where it is null."""
    return _joined([np.diff(ends_of(chunk)) for chunk in column.chunks], "<i8")


def ends_of(chunk: pa.Array[Any]) -> NDArray[np.int64]:
    """Where the first text, bytes or list of an array begins, and where each ends, in what lies below it."""
    buffer = chunk.buffers()[1]
    if buffer is None:
        return np.zeros(1, dtype="<i8")
    return view(buffer, "<i4")[chunk.offset : chunk.offset + len(chunk) + 1].astype("<i8")


def view(buffer: Any, dtype: str) -> NDArray[Any]:
    """A buffer of Arrow as numbers; nothing is copied."""
    return np.frombuffer(buffer, dtype)


def _numbers(chunk: pa.Array[Any], dtype: str) -> NDArray[Any]:
    buffer = chunk.buffers()[1]
    if buffer is None or not len(chunk):  # a cast leaves any buffer under an array without values
        return np.zeros(len(chunk), dtype)
    return view(buffer, dtype)[chunk.offset : chunk.offset + len(chunk)]


def _valid(chunk: pa.Array[Any]) -> NDArray[np.bool_]:
    buffer = chunk.buffers()[0]
    if buffer is None:
        return np.full(len(chunk), chunk.null_count == 0)
    bits = np.unpackbits(view(buffer, "u1"), bitorder="little")
    return bits[chunk.offset : chunk.offset + len(chunk)].astype(bool)


def _joined(parts: Sequence[NDArray[Any]], dtype: str) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _encode(value: Any, kind: pa.DataType) -> bytes:
    """The bytes of a text, or bytes as they are."""
    if value is None:
        return b""
    if not isinstance(value, str if kind == pa.string() else bytes):
        raise TypeError(f"{value!r} is no {kind}")
    return value.encode() if isinstance(value, str) else value


def _bits(valid: Sequence[bool]) -> pa.Buffer | None:
    """Arrow's note of which values are there; none where all are."""
    return None if all(valid) else _buffer(np.packbits(valid, bitorder="little"))


def _offsets(pieces: Sequence[Sequence[Any]]) -> pa.Buffer:
    """Where each of them begins once they are joined, and the last one ends."""
    ends = np.cumsum([0, *map(len, pieces)])
    if ends[-1] >= 2**31:  # astype would wrap it
        raise OverflowError(f"{ends[-1]} bytes or values are too many for one array of Arrow")
    return _buffer(ends.astype("<i4", casting="same_kind"))


def _buffer(numbers: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(numbers.tobytes())
