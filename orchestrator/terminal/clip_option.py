"""What ``--clip`` takes: ``layer=26,module=mlp,clip_rate=0.95,kind=svd``, and further keys that a kind may have."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KINDS

KEYS = ("layer", "module", "clip_rate", "kind")
NEAR = 0.61  # so that rate is near clip_rate, and window, which a kind may take, is not near kind
EXAMPLE = "expected key=value with commas, as in --clip layer=26,module=mlp,clip_rate=0.95"
_BETWEEN = re.compile(r",(?=[^,=\[\]{}\"]*=)")  # a comma before the next key; one inside a list is no such


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipText:
    """A clip as it was typed, before the model is known.

    Attributes:
        layer: Decoder block; negative ones count from the end.
        module: Key of ``MODULES``.
        clip_rate: Fraction dropped, in ``[0, 1)``; 0 where none was given, to a kind whose rate has no meaning.
        kind: Key of ``KINDS``.
        options: What the kind takes besides, as JSON with sorted keys; None for nothing.
    """

    layer: int
    module: str
    clip_rate: float
    kind: str = DEFAULT_KIND
    options: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could take."""
        self._at(max(self.layer, 0))

    def clip(self, card: ModelCard) -> Clip:
        """The clip of one model, its layer counted from 0.

        Raises:
            SpecError: The model lacks the layer, or has no matrix of the module in it.
        """
        layer = card.layer_index(self.layer)
        card.roles_at(layer, self.module)
        return self._at(layer)

    def _at(self, layer: int) -> Clip:
        return Clip(**asdict(self) | {"layer": layer})


def parse_clips(texts: Sequence[str]) -> list[ClipText]:
    """Read what ``--clip`` takes, once for each clip.

    Args:
        texts: Each ``key=value`` with commas between: layer, module and clip_rate; kind where it is not the usual one.
            The rate may be left out where it has no meaning to the kind. Further keys are the kind's own: JSON where
            the value is JSON, else text.

    Raises:
        SpecError: No ``=``, a key that is given twice, misspelled or missing, a layer or rate that is no number, or a
            value that no clip can have.
    """
    return [_parse(text) for text in texts]


def _parse(text: str) -> ClipText:
    given = _pairs(text)
    options = {key: value for key, value in given.items() if key not in KEYS}
    kind = given.get("kind", DEFAULT_KIND)
    has_rate = kind in KINDS and KINDS[kind].has_rate
    missing = [key for key in KEYS[: 3 if has_rate else 2] if key not in given]
    for key in options:
        if meant := difflib.get_close_matches(key, [each for each in KEYS if each not in given], n=1, cutoff=NEAR):
            known = ", ".join(KEYS)
            raise SpecError(f"no key {key!r} in --clip {text!r}; known: {known}. Did you mean {meant[0]!r}?")
    if missing:
        raise SpecError(f"--clip {text!r} has no {missing[0]}; {EXAMPLE}.")
    return ClipText(
        layer=_read_number(text, given, "layer", int, "a whole number, negative ones counting from the end"),
        module=given["module"],
        clip_rate=_read_number(text, {"clip_rate": "0"} | given, "clip_rate", float, "a fraction in [0, 1)"),
        kind=kind,
        options=json.dumps({key: _value(each) for key, each in options.items()}, sort_keys=True) if options else None,
    )


def _pairs(text: str) -> dict[str, str]:
    """Keys and values as they were typed."""
    given: dict[str, str] = {}
    for part in _BETWEEN.split(text):
        key, separator, value = (each.strip() for each in part.partition("="))
        if not (key and separator and value):
            raise SpecError(f"--clip {text!r} has {part!r} where a key and its value belong; {EXAMPLE}.")
        if key in given:
            raise SpecError(f"--clip {text!r} gives {key} twice; expected it once. Give a second clip its own --clip.")
        given[key] = value
    return given


def _read_number(text: str, given: dict[str, str], key: str, kind: type[int] | type[float], expected: str) -> Any:
    try:
        return kind(given[key])
    except ValueError as error:
        raise SpecError(f"{key} is {given[key]!r} in --clip {text!r}; expected {expected}.") from error


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
