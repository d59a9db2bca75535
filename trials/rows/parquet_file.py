"""Rows of a Parquet file, or of any Arrow table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.content import PARQUET, read_bytes
from clipsweep.trials.rows.values import DataRow, Guessed, decoded

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]


def read_parquet(path: Path) -> list[tuple[int, DataRow]]:
    """Read a Parquet file. Dates, times and decimals are Python's; bytes that are UTF-8 are text.

    Returns:
        Of each row its number, counted from 0, and its values.

    Raises:
        TaskError: No Parquet, cut off, a column that is named twice, or values that Python has no type for.
    """
    import pyarrow as pa
    from pyarrow import parquet

    content = read_bytes(path, "Parquet")
    if not content.startswith(PARQUET):
        raise TaskError(f"{path} is no Parquet file (it begins {content[:8]!r}); expected one. Mend its ending.")
    if not content.endswith(PARQUET):
        raise TaskError(f"{path} is cut off (a Parquet file ends as it begins, in PAR1). Get the whole file.")
    try:
        return list(enumerate(table_rows(parquet.ParquetFile(pa.BufferReader(content)).read(), str(path))))
    except (pa.ArrowException, OSError) as error:
        raise TaskError(
            f"{path} cannot be read as Parquet ({str(error).strip()}). Get it anew, or write it anew."
        ) from error


def table_rows(table: pa.Table, place: str, *, guessed: bool = False) -> list[DataRow]:
    """Rows of an Arrow table.

    Args:
        table: Not modified.
        place: Where it came from, for the message.
        guessed: Whether its times were made of texts that looked like times.

    Raises:
        TaskError: A column that is named twice, or values that Python has no type for.
    """
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise TaskError(f"{place}: two columns are named {twice[0]!r}; expected one. Rename or remove one of them.")
    columns = [_values(table[name], f"{place}, column {name!r}", guessed) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray[Any], where: str, guessed: bool) -> list[Any]:
    import pyarrow as pa

    try:
        if column.type == pa.time64("ns"):  # of which Python would drop the last digits
            column = column.cast(pa.time64("us"))
        values = column.to_pylist()
    except (ValueError, ArithmeticError) as error:
        raise TaskError(
            f"{where}: values of type {column.type} are beyond Python's ({error}). Write the column as text."
        ) from error
    convert = _converter(column.type, guessed)
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _converter(kind: pa.DataType, guessed: bool) -> Convert | None:
    """What turns Python's form of a value into ours; None where they are the same."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _converter(kind.value_type, guessed)
    if types.is_timestamp(kind):
        return Guessed if guessed else None
    if types.is_float32(kind) or types.is_float16(kind):
        return _shortest(kind)
    if types.is_struct(kind):
        return _each_field(kind, guessed)
    binary = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    if any(is_binary(kind) for is_binary in binary):
        return decoded
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    nested: Any = kind  # a list has value_type, which the type of all types does not tell
    part = _converter(nested.value_type, guessed) if any(is_list(kind) for is_list in lists) else None
    return None if part is None else lambda values: [each if each is None else part(each) for each in values]


def _shortest(kind: pa.DataType) -> Convert:
    """A number of half or single precision in the fewest digits that tell it from its neighbours."""
    import numpy as np

    short = np.dtype(kind.to_pandas_dtype()).type
    return lambda value: float(str(short(value)))  # printed by Python, as numpy writes 16777216 as 1.6777216e+07


def _each_field(kind: pa.StructType, guessed: bool) -> Convert:
    fields = {field.name: _converter(field.type, guessed) or (lambda part: part) for field in kind}
    return lambda value: {name: part if part is None else fields[name](part) for name, part in value.items()}
