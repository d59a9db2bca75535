"""What all sections of a study file have in common: strict, frozen, no unknown keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A section: an unknown key or a value of another type is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def one_of(names: Collection[str]) -> AfterValidator:
    """Accept the names of a table alone, those too that are added to it later."""

    def check(name: str) -> str:
        if name not in names:
            *others, last = map(repr, names)
            raise ValueError(f"{', '.join(others)} or {last}" if others else last)
        return name

    return AfterValidator(check)
