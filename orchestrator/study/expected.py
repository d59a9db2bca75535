"""What a key of the study expects, in words, read from its type; and the nearest legal spelling of a value."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from clipsweep.orchestrator.study.section import Names, Says

PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    types.NoneType: "null",
}
SPELT = {"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32", "float": "float32"}  # elsewhere


def _origin(annotation: Any) -> Any:
    """What a generic type is made from; None for any other."""
    return get_origin(annotation)


def annotation_of(field: FieldInfo) -> Any:
    """A field's type with its metadata, which pydantic keeps apart."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is, or may be; None where it is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if _origin(annotation) not in {Annotated, Union, types.UnionType}:
        return None
    return next(filter(None, map(section_of, get_args(annotation))), None)


def item_of(annotation: Any) -> Any:
    """The type of a list's items; None where the type admits no list."""
    if _origin(annotation) is list:
        return get_args(annotation)[0]
    if _origin(annotation) not in {Annotated, Union, types.UnionType}:
        return None
    return next((item for each in get_args(annotation) if (item := item_of(each)) is not None), None)


def expected(annotation: Any) -> str:
    """A type in words, as they complete "expected ..."."""
    origin, parts = _origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _expected_annotated(parts)
    if origin is Literal:
        return either(list(map(repr, parts)))
    if origin in {Union, types.UnionType}:
        return either([expected(part) for part in sorted(parts, key=lambda part: _origin(part) is not Literal)])
    if origin is list:
        return f"a list (each item {expected(parts[0])})"
    if (section := section_of(annotation)) is not None:
        return f"keys and values: {', '.join(section.model_fields)}"
    return PLAIN.get(annotation, "keys and values")


def _expected_annotated(parts: Sequence[Any]) -> str:
    """Words that stand in the metadata, or else those of the type."""
    for part in parts:
        if isinstance(part, Says):
            return part.expected
        if isinstance(part, Names):
            return either(list(map(repr, part.known)))
    return expected(parts[0])


def admits_text(annotation: Any) -> bool:
    """Whether any text may stand there, alone or in a list."""
    named = any(isinstance(part, Names) for part in get_args(annotation))
    return annotation is str or (not named and any(map(admits_text, _alternatives(annotation))))


def admits_number(annotation: Any) -> bool:
    """Whether a number may stand there, alone or in a list."""
    return annotation is int or annotation is float or any(map(admits_number, _alternatives(annotation)))


def value_type(annotation: Any) -> Any:
    """The type of a mapping's values; None where the type admits no mapping."""
    if _origin(annotation) is dict:
        return get_args(annotation)[1]
    found = (value_type(each) for each in _alternatives(annotation))
    return next((each for each in found if each is not None), None)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a type is made of: without its metadata, each of several, the items of a list."""
    if _origin(annotation) is Annotated:
        return get_args(annotation)[:1]
    return get_args(annotation) if _origin(annotation) in {Union, types.UnionType, list} else ()


def either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def nearest(value: str, annotation: Any) -> str | None:
    """The name that a type admits and that is spelt most like the value; None where none is like it."""
    names, meant = list(_names_in(annotation)), value.strip().lower()
    begun = [name for name in names if meant and name.startswith(meant)]
    close = difflib.get_close_matches(meant, names, n=1) or begun[:1]
    return SPELT.get(meant) if SPELT.get(meant) in names else next(iter(close), None)


def _names_in(annotation: Any) -> Iterator[str]:
    """All names that a type admits, in a list too."""
    if isinstance(annotation, Names):
        yield from annotation.known
    elif _origin(annotation) is Literal:
        yield from (name for name in get_args(annotation) if isinstance(name, str))
    else:
        for part in get_args(annotation):
            yield from _names_in(part)
