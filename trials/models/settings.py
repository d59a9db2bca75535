"""Which checkpoint a study names, and the dtypes that it can be run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPE_BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which checkpoint to load and how.

    Attributes:
        path: A folder, a hub name ``namespace/name``, or ``"embedded"``.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        revision: Branch, tag or commit of a hub name; None for its default branch.
        allow_bin: Whether pickled weights may be read (by torch's weights-only loader).
    """

    path: str
    dtype: str
    revision: str | None = None
    allow_bin: bool = False
