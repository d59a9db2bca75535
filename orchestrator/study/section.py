"""What all sections of a study file have in common: strict, frozen, no unknown keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A section: an unknown key or a value of another type is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accept these names alone."""
    known = tuple(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}")
        return name

    return AfterValidator(check)
