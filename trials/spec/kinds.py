"""The kinds of clip by name: where each is written and which options it takes. A new kind is an entry of ``KINDS``.

Listing the names imports nothing; ``clips/kind.py`` loads a kind when it is first used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from clipsweep.trials.spec.options import Option, fill, parse

DEFAULT_KIND = "svd"
PUBLISHED_RATES = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)


@dataclass(frozen=True, slots=True)
class KindEntry:
    """A kind of clip.

    Attributes:
        location: Its class, as ``module:attribute``.
        options: What it takes besides the rate.
        acts_at_zero: Whether it changes a matrix at clip rate 0 as well.
    """

    location: str
    options: tuple[Option, ...] = ()
    acts_at_zero: bool = False


KINDS: dict[str, KindEntry] = {
    DEFAULT_KIND: KindEntry("clipsweep.trials.clips.svd:Svd"),
}


class KindOfClip(NamedTuple):
    """A kind of clip with its options: one value of the axis ``space.kinds``.

    Attributes:
        name: A key of ``KINDS``.
        options: As ``Clip`` holds them.
    """

    name: str
    options: str | None = None

    @property
    def words(self) -> str:
        """Name and options: ``svd``, or ``random, seed 1``."""
        return ", ".join([self.name, *(f"{name} {value}" for name, value in read_options(self.options).items())])


def complete(kind: str, options: str | None) -> str | None:
    """The one spelling of a kind's options: JSON with sorted keys, defaults filled in; None where it takes none.

    Args:
        kind: A key of ``KINDS``.
        options: JSON, or None for all defaults.

    Raises:
        SpecError: An option that the kind does not take, that it lacks, or a value that it cannot have.
    """
    known = KINDS[kind].options
    return None if options is None and not known else _complete(kind, known, options)


@lru_cache(maxsize=256)
def _complete(kind: str, known: tuple[Option, ...], options: str | None) -> str | None:
    return fill(kind, known, parse(kind, options))


@lru_cache(maxsize=256)
def read_options(options: str | None) -> dict[str, Any]:
    """Options out of JSON, by name; not to be changed."""
    read: dict[str, Any] = {} if options is None else json.loads(options)
    return read
