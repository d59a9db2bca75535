"""What all sections of a study file have in common: strict, frozen, no unknown keys; one value is a list of one.

A value of another type is refused, as is a text that holds a number, with one exception: where a list is wanted, a
single value is taken as a list of one, so that ``shots: 10`` is ``shots: [10]``. The checked study holds the list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    WithJsonSchema,
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Says:
    """How messages call the values of a type, as metadata of the type.

    Attributes:
        expected: What completes "expected ...".
    """

    expected: str


@dataclass(frozen=True, slots=True, eq=False)  # a table has no hash, and unions of types hash their metadata
class Names:
    """The names that a type admits, as metadata of the type.

    Attributes:
        known: A table, or its names; those too that are added to it later.
    """

    known: Collection[str]

    def check(self, name: str) -> str:
        """Accept a name of the table alone."""
        if name not in self.known:
            raise ValueError(name)
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Tell pydantic to check the name, and editors which names there are."""
        told = WithJsonSchema({"type": "string", "enum": list(self.known)})
        return handler.generate_schema(Annotated[source, AfterValidator(self.check), told])


def _as_list(value: Any) -> Any:
    """Take a single value for a list of one; nothing, a list and a mapping stay as they are."""
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, list | dict) else [value]


ONE_IS_A_LIST = BeforeValidator(_as_list)

INT64 = 2**63 - 1  # what a stored row can hold
Count = Annotated[int, Field(ge=0, le=INT64), Says("a whole number of 0 or more")]
Positive = Annotated[int, Field(ge=1, le=INT64), Says("a whole number of 1 or more")]
Above = Annotated[float, Field(gt=0), Says("a number above 0")]
Text = Annotated[str, Field(pattern=r"^[^\x00]+$"), Says("text")]
Several = Annotated[list[Item], Field(min_length=1), ONE_IS_A_LIST]


class Section(BaseModel):
    """A section: an unknown key or a value of another type is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
