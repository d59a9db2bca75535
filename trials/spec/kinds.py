"""The kinds of clip by name: where each is written and which options it takes. A new kind is an entry of ``KINDS``.

Listing the names imports nothing; ``clips/kind.py`` loads a kind when it is first used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.options import (
    Option,
    fill,
    no_mapping,
    one_of,
    or_none,
    parse,
    read_ladder,
    read_positive,
    read_window,
    whole_number,
)

DEFAULT_KIND = "svd"
DEFAULT_ROWS = 64
PUBLISHED_RATES = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
DEMONSTRATIONS, VALIDATION = CALIBRATION = ("demonstrations", "validation")  # what inputs may be taken from: never test


@dataclass(frozen=True, slots=True)
class KindEntry:
    """A kind of clip.

    Attributes:
        location: Its class, as ``module:attribute``.
        means: What it does, as a sentence.
        options: What it takes besides the rate.
        acts_at_zero: Whether it changes a matrix at clip rate 0 as well.
        has_rate: Whether the clip rate has a meaning; where it has none, one need not be given.
        settle: Where options depend on each other, makes those out of them that hold together.
    """

    location: str
    means: str = ""
    options: tuple[Option, ...] = ()
    acts_at_zero: bool = False
    has_rate: bool = True
    settle: Callable[[dict[str, Any]], dict[str, Any]] | None = None


SEED = Option(
    name="seed",
    means="Of the random numbers; each matrix has its own.",
    expected="a whole number of 0 or more",
    read=whole_number(0),
    default=0,
)
DROP = Option(
    name="drop",
    means="The ranks that are dropped: from the first, counted from 0, to before the second.",
    expected="two ranks [a, b], counted from 0, of which b is the one after the last",
    read=read_window,
)
RATES = Option(
    name="rates",
    means="Clip rates that are applied one after the other, those below the clip's own.",
    expected="a list of fractions in [0, 1), ascending, each once",
    read=read_ladder,
    default=list(PUBLISHED_RATES),
)
SPLIT = Option(
    name="split",
    means="Where inputs are taken from: the demonstrations of the prompt, or prompts of validation.",
    expected=" or ".join(map(repr, CALIBRATION)),
    read=one_of(CALIBRATION),
    default=DEMONSTRATIONS,
    names=CALIBRATION,
)
ROWS = Option(
    name="rows",
    means="How many rows of validation inputs are taken from, from its first; 64 where it is not given.",
    expected="a whole number of 1 or more",
    read=or_none(whole_number(1)),
    default=None,
)
EPSILON = Option(
    name="epsilon",
    means="What is added to the diagonal of the inputs' products, as a share of its mean.",
    expected="a number above 0",
    read=read_positive,
    default=0.01,
)


def _settle_rows(options: dict[str, Any]) -> dict[str, Any]:
    """Rows for the split that has rows, none for demonstrations.

    Raises:
        SpecError: Rows that would have no effect.
    """
    if options["split"] != DEMONSTRATIONS:
        return options | {"rows": options["rows"] or DEFAULT_ROWS}
    if options["rows"] is not None:
        raise SpecError(
            f"option 'rows' of kind of clip 'whitened' is {options['rows']}, which has no effect with split: "
            f"{DEMONSTRATIONS}, as those are read whole; remove it, or set split: {VALIDATION}."
        )
    return options


_FOLDER = "clipsweep.trials.clips.kinds"
KINDS: dict[str, KindEntry] = {
    DEFAULT_KIND: KindEntry("clipsweep.trials.clips.svd:Svd", "The largest singular values stay."),
    "magnitude": KindEntry(f"{_FOLDER}.magnitude:Magnitude", "The smallest entries become zero."),
    "zero": KindEntry(
        f"{_FOLDER}.zero:Zero",
        "Every entry becomes zero, whatever the rate.",
        acts_at_zero=True,
        has_rate=False,
    ),
    "tail": KindEntry(f"{_FOLDER}.tail:Tail", "The smallest singular values stay."),
    "window": KindEntry(
        f"{_FOLDER}.window:Window",
        "The singular values between two ranks are dropped, whatever the rate.",
        (DROP,),
        acts_at_zero=True,
        has_rate=False,
    ),
    "random": KindEntry(
        f"{_FOLDER}.random_change:RandomChange",
        "A change as large as that of svd, in random directions.",
        (SEED,),
    ),
    "randomised": KindEntry(
        f"{_FOLDER}.randomised:Randomised",
        "A randomised SVD, as the paper's release measures at its end.",
        (SEED,),
        acts_at_zero=True,
    ),
    "cumulative": KindEntry(
        f"{_FOLDER}.cumulative:Cumulative",
        "A randomised SVD of what those at smaller rates left, as the paper's release searches.",
        (RATES, SEED),
        acts_at_zero=True,
    ),
    "whitened": KindEntry(
        f"{_FOLDER}.whitened:Whitened",
        "The matrix of the rank of svd whose outputs are nearest (SVD-LLM).",
        (EPSILON, ROWS, SPLIT),
        settle=_settle_rows,
    ),
}


class Texts(NamedTuple):
    """Texts that the untouched model reads for a clip.

    Attributes:
        split: ``DEMONSTRATIONS`` for those of the trial's own prompt, or the split whose prompts are read.
        rows: How many prompts, from the split's first; 0 for demonstrations, which are one text.
    """

    split: str
    rows: int


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
        given = {name: value for name, value in read_options(self.options).items() if value is not None}
        return ", ".join([self.name, *(f"{name} {value}" for name, value in given.items())])


def complete(kind: str, options: object) -> str | None:
    """The one spelling of a kind's options: JSON with sorted keys, defaults filled in; None where it takes none.

    Args:
        kind: A key of ``KINDS``.
        options: JSON, or None for all defaults; all else is refused.

    Raises:
        SpecError: They are no text; an option that the kind does not take, that it lacks, or a value that it cannot
            have.
    """
    if options is not None and not isinstance(options, str):
        raise no_mapping(kind, options)  # before the cache, which cannot keep it
    entry = KINDS[kind]
    return None if options is None and not entry.options else _complete(kind, entry, options)


@lru_cache(maxsize=256)
def _complete(kind: str, entry: KindEntry, options: str | None) -> str | None:
    filled = fill(kind, entry.options, parse(kind, options))
    settled = filled if entry.settle is None else entry.settle(filled)
    return json.dumps(settled, sort_keys=True) if settled else None


@lru_cache(maxsize=256)
def read_options(options: str | None) -> dict[str, Any]:
    """Options out of JSON, by name; not to be changed."""
    read: dict[str, Any] = {} if options is None else json.loads(options)
    return read
